// Counting and timing a few steps, and adding up tasks.
#include "experiments/plan/dry_run.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "experiments/bench/bench.h"
#include "experiments/program/run_folder.h"

namespace basin {
namespace {

// Of a network on this device, per image.
struct DeviceCost {
  double train_flops = 0, evaluate_flops = 0;
  double train_seconds = 0, evaluate_seconds = 0;
};

DeviceCost measure_device_cost(const std::string& model, int64_t side, int64_t classes,
                               Session& session) {
  BenchOptions options;
  options.model = model;
  options.image_size = side;
  options.classes = classes;
  // Enough images for the speed of a real step, few enough to wait for.
  options.batch_size = side > 64 ? 4 : 32;
  options.steps = 3;
  options.warmup = 1;
  DeviceCost cost;
  for (const bool training : {true, false}) {
    options.training = training;
    const BenchResult result = bench(options, session);
    const auto images = static_cast<double>(options.batch_size);
    double flops = 0;
    for (const TimedCall& timed : result.profile.calls) flops += timed.call.flops;
    (training ? cost.train_flops : cost.evaluate_flops) = flops / images;
    const std::vector<double>& seconds =
        result.captured_step_seconds.empty() ? result.step_seconds : result.captured_step_seconds;
    (training ? cost.train_seconds : cost.evaluate_seconds) =
        *std::min_element(seconds.begin(), seconds.end()) / images;
  }
  return cost;
}

}  // namespace

std::string dry_run(const PaperPlan& plan, Session& session) {
  const std::vector<Task>& tasks = plan.plan().tasks();
  const std::vector<int64_t> owners = plan.plan().assign(plan.options().shard.count);
  std::map<std::pair<int64_t, int64_t>, DeviceCost> costs;  // by image side and classes
  struct Total {
    int64_t runs = 0, analyses = 0, done = 0;
    double flops = 0, images = 0, seconds = 0, seconds_to_do = 0;
    bool at_most = false;
  };
  std::map<std::string, Total> totals;
  Total all;
  auto time_text = [](double seconds, bool at_most) {
    return (at_most && seconds > 0 ? "at most " : "") + duration_text(seconds);
  };
  std::string text = fmt::format("{:<52} {:>6} {:>12} {:>10} {:>20} {}\n", "task", "share",
                                 "images", "PFLOP", "time here", "state");
  for (size_t i = 0; i < tasks.size(); ++i) {
    const Task& task = tasks[i];
    const auto key = std::pair(task.cost.image_side, task.cost.classes);
    if (!costs.contains(key)) {
      costs[key] = measure_device_cost(plan.preset().model, key.first, key.second, session);
    }
    const DeviceCost& cost = costs.at(key);
    const double flops =
        task.cost.train_images * cost.train_flops + task.cost.evaluate_images * cost.evaluate_flops;
    const double seconds = task.cost.train_images * cost.train_seconds +
                           task.cost.evaluate_images * cost.evaluate_seconds;
    const double images = task.cost.train_images + task.cost.evaluate_images;
    const bool done = is_done(task.folder);
    const bool begun = !done && std::filesystem::exists(task.folder);
    auto count = [&](Total& total) {
      (task.cost.train_images > 0 ? total.runs : total.analyses) += 1;
      total.done += done;
      total.flops += flops;
      total.images += images;
      total.seconds += seconds;
      total.seconds_to_do += done ? 0 : seconds;
      total.at_most |= task.cost.at_most;
    };
    for (const std::string& experiment : task.experiments) count(totals[experiment]);
    count(all);
    text += fmt::format("{:<52} {:>6} {:>12.0f} {:>10.4g} {:>20} {}\n", task.name, owners[i] + 1,
                        images, 1e-15 * flops, time_text(seconds, task.cost.at_most),
                        done    ? "done"
                        : begun ? "begun"
                                : "to do");
  }
  text += fmt::format("\n{:<14} {:>6} {:>9} {:>6} {:>14} {:>10} {:>22} {:>22}\n", "experiment",
                      "runs", "analyses", "done", "images", "PFLOP", "time here", "still to do");
  auto line = [&](const std::string& name, const Total& total) {
    text += fmt::format("{:<14} {:>6} {:>9} {:>6} {:>14.0f} {:>10.4g} {:>22} {:>22}\n", name,
                        total.runs, total.analyses, total.done, total.images, 1e-15 * total.flops,
                        time_text(total.seconds, total.at_most),
                        time_text(total.seconds_to_do, total.at_most));
  };
  for (const std::string& name : experiment_names()) {
    if (totals.contains(name)) line(name, totals.at(name));
  }
  line("together", all);
  text +=
      "Runs shared by several experiments are counted in each, and once in the last line.\n"
      "At most: extent and criticality end early when their answer is found, and criticality runs "
      "the modules before the one it changes once for many settings.\n";
  for (const auto& [key, cost] : costs) {
    text += fmt::format(
        "Timed here: {} on {}x{} images, {} classes: {:.1f} images/s in training, {:.1f} in "
        "evaluation.\n",
        plan.preset().model, key.first, key.first, key.second, 1 / cost.train_seconds,
        1 / cost.evaluate_seconds);
  }
  return text;
}

}  // namespace basin
