// The program: command line, exit codes, one subcommand per task.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <thread>

#include "data/dataset.h"
#include "experiments/program/commands.h"
#include "experiments/program/run_folder.h"
#include "experiments/program/session.h"
#include "kernels/base/check.h"
#include "kernels/base/parallel.h"

int main(int argc, char** argv) {
  using namespace basin;
  CLI::App app{
      "Basin: a deep-learning engine, and the experiments of \"What is being transferred in "
      "transfer "
      "learning?\" (Neyshabur, Sedghi, Zhang, NeurIPS 2020) on it.",
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
  common.threads = static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
  app.add_option("--threads", common.threads, "CPU threads; results do not depend on it")
      ->check(CLI::Range(1, 4096))
      ->capture_default_str();
  std::string device = "auto";
  app.add_option("--device", device,
                 "where networks run: cpu, cuda, emulated (CUDA kernels on the CPU: for tests, "
                 "slow), or auto: the GPU where there is one")
      ->check(CLI::IsMember({"auto", "cpu", "cuda", "emulated"}))
      ->capture_default_str();
  std::string precision = "auto";
  app.add_option(
         "--precision", precision,
         "of networks: fp32; on a GPU also bf16 (activations, and weights as they are read; "
         "parameters and sums stay fp32) and tf32 (products with 10 bits); auto: bf16 on a GPU, "
         "else fp32")
      ->check(CLI::IsMember({"auto", "fp32", "tf32", "bf16"}))
      ->capture_default_str();
  bool no_graph = false;
  app.add_flag(
      "--no-graph", no_graph,
      "on a GPU: queue every call of a training step anew, not the step as one CUDA graph");
  std::string plan_file = default_plan_file();
  app.add_option(
         "--plan-file", plan_file,
         "on a GPU: file that keeps which algorithm was chosen for each convolution, so that "
         "the next run takes the same and need not choose; empty: none")
      ->capture_default_str();
  app.add_flag("--json", common.json, "print the result as JSON on standard output");

  Session session;
  std::function<void()> command;
  add_train_command(app, common, session, command);
  add_eval_command(app, common, session, command);
  add_interpolate_command(app, common, session, command);
  add_rewind_command(app, common, session, command);
  add_criticality_command(app, common, session, command);
  add_extent_command(app, common, session, command);
  add_distance_command(app, common, session, command);
  add_cka_command(app, common, session, command);
  add_mistakes_command(app, common, session, command);
  add_spectrum_command(app, common, session, command);
  add_data_command(app, common, session, command);
  add_report_command(app, common, session, command);
  add_paper_commands(app, common, session, command);
  add_bench_command(app, common, session, command);

  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? kExitDone : kExitUsage;
  }
  try {
    set_threads(common.threads);
    catch_interruption();
    if (!app.got_subcommand("data") && !app.got_subcommand("report")) {
      const Device chosen = device_named(device);
      session.precision = precision_named(precision, chosen);
      session.use(chosen,
                  {.allow_tf32 = session.precision == Precision::kTf32, .plan_file = plan_file});
      session.capture_steps = !no_graph;
      session.log.message(
          fmt::format("device: {}, {}", describe(chosen), name_of(session.precision)));
    }
    command();
    return kExitDone;
  } catch (const Interrupted&) {
    session.log.message("interrupted");
    return kExitInterrupted;
  } catch (const std::exception& error) {
    session.log.message(fmt::format("error: {}", error.what()));
    return kExitFailed;
  }
}
