// The commands that are no experiments, and the list of all.
#include "experiments/program/commands.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "data/image/contact_sheet.h"
#include "experiments/bench/bench.h"
#include "experiments/plan/dry_run.h"
#include "experiments/plan/paper.h"
#include "experiments/program/evaluate.h"
#include "experiments/program/model_file.h"
#include "experiments/program/train.h"
#include "experiments/registry.h"
#include "experiments/report/report.h"
#include "kernels/base/check.h"

namespace basin {
namespace {

struct EvalCommand {
  std::string checkpoint, model;
  data::DataOptions data;
  int64_t batch_size = 200;

  Options list() {
    return Options{
               Option("--checkpoint", &checkpoint, "safetensors file or run folder").required()} +
           test_data_options(data) +
           Options{model_option(model),
                   {"--batch-size", &batch_size, "images per pass", at_least(1)}};
  }
};

Printed run_eval(const EvalCommand& options, Session& session) {
  const auto network = load_network(options.checkpoint, options.model, session);
  EvaluationSet set(session.load(options.data).test, {.batch_size = options.batch_size}, session);
  const Evaluation result = set.evaluate(*network);
  const std::string score = score_name(set.multi_label());
  return printed({{"images", set.size()}, {"loss", result.loss}, {score, result.score}},
                 fmt::format("{} images: loss {:.4f}, {} {:.2f} %", set.size(), result.loss, score,
                             100 * result.score));
}

struct DataCommand {
  data::DataOptions data;
  std::string sheet;
  int64_t rows = 10, columns = 12;

  Options list() {
    return all_data_options(data) +
           Options{{"--seed", &data.seed, "of --train-size"},
                   {"--sheet", &sheet, "PNG file to write: training images, a row per class"},
                   {"--rows", &rows, "of the sheet", at_least(1)},
                   {"--columns", &columns, "of the sheet", at_least(1)}};
  }
};

Printed run_data(const DataCommand& options, Session& session) {
  const data::DataSplits splits = session.load(options.data);
  const data::Dataset& train = *splits.train;
  if (!options.sheet.empty()) {
    data::write_contact_sheet(train, options.sheet, options.rows, options.columns);
  }
  return printed(
      {{"train_images", train.size()},
       {"distinct_train_images", splits.train_evaluation->size()},
       {"test_images", splits.test->size()},
       {"validation_images", splits.validation ? splits.validation->size() : 0},
       {"height", train.height()},
       {"width", train.width()},
       {"multi_label", train.multi_label()},
       {"classes", train.class_names()},
       {"mean", train.mean()},
       {"stddev", train.stddev()}},
      fmt::format("{}: {} training and {} test images of {}x{}, {} {}{}", options.data.spec,
                  train.size(), splits.test->size(), train.height(), train.width(), train.classes(),
                  train.multi_label() ? "labels" : "classes",
                  options.sheet.empty() ? "" : "; wrote " + options.sheet));
}

struct ReportCommand {
  std::filesystem::path folder;

  Options list() { return {Option("dir", &folder, "folder that `basin paper` filled").required()}; }
};

Printed run_report(const ReportCommand& options, Session&) {
  write_report(options.folder);
  const std::string path = (options.folder / "report.html").string();
  return printed({{"report", path}}, "wrote " + path);
}

struct PaperCommand {
  PaperOptions paper;
  std::string shard = "1/1";
  bool dry_run = false;

  Options list() {
    return {
        {"--preset", &paper.preset,
         "size of the plan: smoke (a minute), demo (a quarter of an hour on two cores), paper "
         "(the paper's protocol: months of a GPU)",
         one_of({"smoke", "demo", "paper"})},
        {"--only", &paper.only,
         fmt::format("experiments a,b,...: {} [all]", fmt::join(experiment_names(), ", ")),
         one_of(experiment_names())},
        {"--shard", &shard,
         "i/n: this process does the ith of n shares; the others may run on other machines "
         "with the same --out"},
        {"--dry-run", &dry_run, "list every run with its cost and whether it is done; run nothing"},
        {"--data-dir", &paper.data.fashion,
         "folder of the Fashion-MNIST files [where Debian installs them]"},
        {"--imagenet", &paper.data.imagenet, "preset paper: folder with train/ and val/"},
        {"--domainnet", &paper.data.domainnet,
         "preset paper: folder of DomainNet's lists and domains"},
        {"--chexpert", &paper.data.chexpert,
         "preset paper: folder with CheXpert's train.csv and valid.csv"},
        {"--out", &paper.out, "folder of the results"}};
  }
};

Printed run_paper_command(const PaperCommand& command, Session& session) {
  PaperOptions options = command.paper;
  options.shard = Shard::parse(command.shard);
  const PaperPlan plan(options);
  if (command.dry_run) {
    const std::string text = dry_run(plan, session);
    return printed({{"plan", text}}, text);
  }
  run_paper(plan, session);
  const std::string path =
      std::filesystem::absolute(options.out / "report.html").lexically_normal().string();
  return printed({{"report", path}}, "report: " + path);
}

// `paper --only` one experiment, as a command of that experiment's name.
Command paper_only_command(const Experiment& experiment) {
  auto values = std::make_shared<PaperCommand>();
  values->paper.only = {experiment.name};
  Options options = values->list();
  std::erase_if(options, [](const Option& option) { return option.name() == "--only"; });
  return {fmt::format("{} (the same as paper --only {})", experiment.heading, experiment.name),
          std::move(options),
          [values](Session& session) { return run_paper_command(*values, session); }};
}

}  // namespace

std::vector<std::pair<std::string, Command>> all_commands() {
  std::vector<std::pair<std::string, Command>> commands = {
      {"train", train_command()},
      {"eval", make_command("loss and accuracy of a checkpoint on test images", run_eval)},
      {"data", make_command("describe a data set, or write a contact sheet of it", run_data)},
      {"paper", make_command("run the plan of all experiments and write its report; a second call "
                             "goes on or reuses",
                             run_paper_command)},
      {"report", make_command("write report.html of a folder of results", run_report)},
      {"bench", bench_command()}};
  for (const Experiment& experiment : experiments()) {
    commands.emplace_back(experiment.name, experiment.command ? experiment.command()
                                                              : paper_only_command(experiment));
  }
  for (auto& [name, command] : commands) command.uses_device = name != "data" && name != "report";
  return commands;
}

}  // namespace basin
