// The page of a results folder: its head, the sections of the experiments, and what was run.
#include "experiments/report/report.h"

#include <fmt/format.h>

#include <algorithm>

#include "engine/files.h"
#include "experiments/program/session.h"
#include "experiments/registry.h"
#include "experiments/report/measures.h"
#include "experiments/report/page.h"
#include "experiments/report/results.h"
#include "kernels/base/check.h"

namespace basin::report {
namespace {

namespace fs = std::filesystem;

void write_sheets(Results& results, Section& section) {
  std::vector<Figure> figures;
  for (const Sheet& sheet : results.sheets) {
    if (!results.folder.exists(sheet.image)) {
      section.not_run("Sample images of " + sheet.data + ".");
      continue;
    }
    results.folder.attempt(sheet.image, [&] {
      figures.push_back(
          {embedded_png(results.folder.root() / sheet.image, "Sample images of " + sheet.data),
           "Sample images of " + sheet.data + "."});
    });
  }
  if (results.sheets.empty()) section.not_run("Sample images.");
  section.figures(figures);
}

void write_pretraining(Results& results, Section& section) {
  if (!results.source || !results.source->usable()) {
    section.not_run("The pre-training run.");
    return;
  }
  const Run& run = *results.source;
  const Metric metric = *run.metric;
  section.paragraph(
      fmt::format("Network {}, trained for {} epochs on {} images of {}{}. Final test {}: {}.",
                  results.source_model, results.source_epochs, results.source_images,
                  results.source_data, run.seconds ? " in " + duration_text(*run.seconds) : "",
                  metric_name(metric), format_performance(metric, *run.performance)));
  const std::vector<Link> data = {{"metrics.csv", run.metrics_path()}};
  LineChart performance = performance_chart(metric, "Performance of the network over pre-training",
                                            "Epoch", axis_label("Source", metric));
  performance.integer_x = true;
  const double factor = shown(metric, 1.0);
  add_series(performance, run_series(run, column_name("test", metric), "Test images", 0, factor));
  add_series(performance, run_series(run, column_name("train_eval", metric),
                                     "Training images, evaluation mode", 3, factor));
  LineChart loss =
      loss_chart("Loss of the network over pre-training", "Epoch", "Source loss (nats)");
  loss.integer_x = true;
  add_series(loss, run_series(run, "test_loss", "Test images", 0, 1));
  add_series(loss, run_series(run, "train_eval_loss", "Training images, evaluation mode", 3, 1));
  section.figures(
      {{line_chart(performance),
        "Pre-training: performance after each epoch; epoch 0 is before training.", data},
       {line_chart(loss), "Pre-training: loss after each epoch.", data}});
}

void write_runs(Results& results, Section& section) {
  if (!results.cpu.empty() || !results.commit.empty()) {
    section.paragraph(fmt::format("Machine: {}, {} threads. Program version: {}.", results.cpu,
                                  results.threads, results.commit));
  }
  Table table{"Every training run of the plan. Final values are those after the last epoch.",
              {"Run", "Test performance", "Test loss", "Time", "Images per second"}};
  std::set<std::string> listed;
  const auto add = [&](const Run& run) {
    if (!listed.insert(run.path).second) return;
    if (!run.usable()) {
      table.rows.push_back({run.path, "not run", "", "", ""});
      return;
    }
    table.rows.push_back(
        {run.path, format_performance(*run.metric, *run.performance),
         run.loss ? fmt::format("{:.3f}", *run.loss) : "",
         run.seconds ? duration_text(*run.seconds) : "",
         run.images_per_second ? fmt::format("{:.0f}", *run.images_per_second) : ""});
  };
  if (results.source) add(*results.source);
  for (const Target& target : results.targets) {
    for (const Run& run : target.finetune) add(run);
    for (const Run& run : target.randinit) add(run);
  }
  for (const PlannedRun& planned : results.runs) add(planned.run);
  if (table.rows.empty()) section.not_run("Training runs.");
  section.table(table);
}

PageHead head_of(const Results& results) {
  PageHead head;
  head.title = results.title.empty() ? "What is being transferred: results" : results.title;
  head.subtitle =
      "Experiments of \u201cWhat is being transferred in transfer learning?\u201d (Neyshabur, "
      "Sedghi, Zhang, NeurIPS 2020), measured.";
  if (!results.preset.empty()) head.subtitle += fmt::format(" Preset {}.", results.preset);
  if (!results.started.empty()) head.subtitle += fmt::format(" Started {}.", results.started);
  if (results.seconds) head.subtitle += fmt::format(" Took {}.", duration_text(*results.seconds));
  if (!results.planned) {
    head.remarks.push_back(
        "plan.json is missing or damaged, so nothing in this folder could be placed.");
  }
  const bool derived = std::any_of(results.targets.begin(), results.targets.end(),
                                   [](const Target& t) { return t.data.starts_with("fashion/"); });
  if (derived) {
    head.remarks.push_back(
        "The networks and images here are far smaller than the paper\u2019s, so compare directions "
        "and ratios, not sizes. The clipart and quickdraw domains are derived from the photos by "
        "program, not drawn by people: they show direction only. The photo domain stands for the "
        "paper\u2019s real, mosaic for CheXpert.");
  }
  for (const Target& target : results.targets) head.columns.push_back(target.name);
  return head;
}

}  // namespace
}  // namespace basin::report

namespace basin {

void write_report(const std::filesystem::path& folder) {
  using namespace report;
  BASIN_CHECK(fs::is_directory(folder), folder.string(),
              ": no such folder; give the folder a plan wrote its results to");
  Results results = read_results(folder);
  std::vector<Section> sections;
  write_sheets(results, sections.emplace_back("A", "images", "Sample images of each domain"));
  write_pretraining(results, sections.emplace_back("B", "pretraining", "Pre-training"));
  int number = 0;
  for (const Experiment& experiment : experiments()) {
    Section& section =
        sections.emplace_back(std::to_string(++number), experiment.name, experiment.heading);
    experiment.write_section(results, section);
  }
  write_runs(results, sections.emplace_back("C", "runs", "The runs"));
  PageHead head = head_of(results);
  head.problems = results.folder.problems();  // all sections have read their files by now
  write_file_atomically(folder / "report.html", page_html(head, sections));
}

}  // namespace basin
