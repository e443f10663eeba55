// The program: command line and exit codes.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <thread>

#include "experiments/program/commands.h"
#include "experiments/program/run_folder.h"
#include "kernels/base/parallel.h"

namespace basin {
namespace {

// Options of all commands.
struct CommonOptions {
  int64_t threads = std::max(1u, std::thread::hardware_concurrency());
  std::string device = "auto", precision = "auto", plan_file = default_plan_file();
  bool no_graph = false, json = false;

  Options list() {
    return {
        {"--threads", &threads, "CPU threads; results do not depend on it", between(1, 4096)},
        {"--device", &device,
         "where networks run: cpu, cuda, emulated (CUDA kernels on the CPU: for tests, slow), or "
         "auto: the GPU where there is one",
         one_of({"auto", "cpu", "cuda", "emulated"})},
        {"--precision", &precision,
         "of networks: fp32; on a GPU also bf16 (activations, and weights as they are read; "
         "parameters and sums stay fp32) and tf32 (products with 10 bits); auto: bf16 on a GPU, "
         "else fp32",
         one_of({"auto", "fp32", "tf32", "bf16"})},
        {"--no-graph", &no_graph,
         "on a GPU: queue every call of a training step again, not the step as one CUDA graph"},
        {"--plan-file", &plan_file,
         "on a GPU: file that keeps which algorithm was chosen for each convolution, so that the "
         "next run takes the same and need not choose; empty: none"},
        {"--json", &json, "print the result as JSON on standard output"}};
  }
};

void use_device(const CommonOptions& common, Session& session) {
  const Device device = device_named(common.device);
  session.precision = precision_named(common.precision, device);
  session.use(device,
              {.allow_tf32 = session.precision == Precision::kTf32, .plan_file = common.plan_file});
  session.capture_steps = !common.no_graph;
  session.log.message(fmt::format("device: {}, {}", describe(device), name_of(session.precision)));
}

int run(int argc, char** argv, Session& session) {
  CLI::App app{
      "Basin: a deep-learning engine, and the experiments of \"What is being transferred in "
      "transfer learning?\" (Neyshabur, Sedghi, Zhang, NeurIPS 2020) on it.",
      "basin"};
  app.set_version_flag("--version", version_text());
  app.set_config("--config", "",
                 "TOML file with settings, [train] and so on; the command line wins")
      ->check(CLI::ExistingFile);
  app.allow_config_extras(CLI::config_extras_mode::error);  // a misspelt setting
  app.require_subcommand(1);
  app.fallthrough();
  app.get_formatter()->column_width(36);
  app.footer(
      "Exit codes: 0 done, 1 failed, 2 wrong usage, 75 interrupted with everything saved.\n"
      "Logs go to standard error, results of --json to standard output.");
  CommonOptions common;
  add_options(app, common.list());
  const auto commands = all_commands();
  const Command* chosen = nullptr;
  for (const auto& [name, command] : commands) {
    add_command(app, name, command, [&chosen, &command = command] { chosen = &command; });
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? kExitDone : kExitUsage;
  }
  set_threads(static_cast<int>(common.threads));
  catch_interruption();
  if (chosen->uses_device) use_device(common, session);
  const Printed result = chosen->run(session);
  fmt::print("{}\n", common.json ? result.json : result.text);
  return kExitDone;
}

}  // namespace
}  // namespace basin

int main(int argc, char** argv) {
  using namespace basin;
  Session session;
  try {
    return run(argc, argv, session);
  } catch (const Interrupted&) {
    session.log.message("interrupted");
    return kExitInterrupted;
  } catch (const std::exception& error) {
    session.log.message(fmt::format("error: {}", error.what()));
    return kExitFailed;
  }
}
