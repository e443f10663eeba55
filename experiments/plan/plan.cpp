// Running a plan.
#include "experiments/plan/plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <thread>

#include "engine/files.h"
#include "experiments/program/run_folder.h"
#include "kernels/base/check.h"

namespace basin {
namespace {

namespace fs = std::filesystem;

constexpr auto kPollInterval = std::chrono::seconds(2);

enum class TaskState { kWaiting, kDone, kFailed };

}  // namespace

double task_weight(const TaskCost& cost) {
  const auto side = static_cast<double>(cost.image_side) / 32;
  return (3 * cost.train_images + cost.evaluate_images) * side * side;
}

Shard Shard::parse(const std::string& text) {
  int index = 0, count = 0, used = 0;
  const bool read = std::sscanf(text.c_str(), "%d/%d%n", &index, &count, &used) == 2 &&
                    static_cast<size_t>(used) == text.size();
  BASIN_CHECK(read && count >= 1 && index >= 1 && index <= count, "--shard is '", text,
              "'; expected i/n with 1 <= i <= n, such as 2/4");
  return {index - 1, count};
}

void Plan::add(Task task) {
  for (const std::string& need : task.needs) {
    const bool known = std::any_of(tasks_.begin(), tasks_.end(),
                                   [&](const Task& other) { return other.name == need; });
    BASIN_CHECK(known, "the plan's task ", task.name, " needs ", need, ", which is not before it");
  }
  tasks_.push_back(std::move(task));
}

void Plan::select(const std::set<std::string>& experiments) {
  std::set<std::string> wanted;
  for (auto task = tasks_.rbegin(); task != tasks_.rend(); ++task) {
    const bool chosen =
        std::any_of(task->experiments.begin(), task->experiments.end(),
                    [&](const std::string& name) { return experiments.contains(name); });
    if (!chosen && !wanted.contains(task->name)) continue;
    wanted.insert(task->name);
    wanted.insert(task->needs.begin(), task->needs.end());
  }
  std::erase_if(tasks_, [&](const Task& task) { return !wanted.contains(task.name); });
}

std::vector<int64_t> Plan::assign(int64_t shards) const {
  std::vector<double> load(static_cast<size_t>(shards), 0.0);
  std::vector<int64_t> owners;
  for (const Task& task : tasks_) {
    const auto lightest = std::min_element(load.begin(), load.end());
    owners.push_back(lightest - load.begin());
    *lightest += std::max(1.0, task_weight(task.cost));
  }
  return owners;
}

PlanOutcome Plan::run(const Shard& shard, const fs::path& failed, Session& session) const {
  PlanOutcome outcome;
  create_folders(failed);
  auto failure_file = [&](const Task& task) { return failed / (task.name + ".txt"); };
  std::map<std::string, const Task*> by_name;
  std::map<std::string, TaskState> states;
  std::vector<const Task*> waiting;  // of this shard
  double total = 0;
  const std::vector<int64_t> owners = assign(shard.count);
  for (size_t i = 0; i < tasks_.size(); ++i) {
    const Task& task = tasks_[i];
    by_name[task.name] = &task;
    if (owners[i] != shard.index) continue;
    waiting.push_back(&task);
    total += task_weight(task.cost);
    fs::remove(failure_file(task));
  }
  // Other shards may have done or failed it since the last look.
  auto state_of = [&](const std::string& name) {
    TaskState& state = states[name];
    const Task& task = *by_name.at(name);
    if (state == TaskState::kWaiting && is_done(task.folder)) state = TaskState::kDone;
    if (state == TaskState::kWaiting && fs::exists(failure_file(task))) state = TaskState::kFailed;
    return state;
  };
  auto fail = [&](const Task& task, const std::string& why) {
    session.log.message(fmt::format("{} failed: {}", task.name, why));
    outcome.failures.push_back(task.name + ": " + why);
    write_file_atomically(failure_file(task), why + "\n");
  };
  session.progress = std::make_unique<Progress>(session.log, total);
  bool told = false;
  while (!waiting.empty()) {
    check_interruption();
    std::string missing;
    const auto ready = std::find_if(waiting.begin(), waiting.end(), [&](const Task* task) {
      for (const std::string& need : task->needs) {
        if (state_of(need) != TaskState::kWaiting) continue;
        if (missing.empty()) missing = need;
        return false;
      }
      return true;
    });
    if (ready == waiting.end()) {
      if (!told) session.log.message("waiting for " + missing + ", which another shard runs");
      told = true;
      std::this_thread::sleep_for(kPollInterval);
      continue;
    }
    told = false;
    const Task& task = **ready;
    waiting.erase(ready);
    session.progress->begin_task(task.name, task_weight(task.cost),
                                 3 * task.cost.train_images + task.cost.evaluate_images);
    const auto failed_need =
        std::find_if(task.needs.begin(), task.needs.end(),
                     [&](const std::string& need) { return state_of(need) == TaskState::kFailed; });
    if (state_of(task.name) == TaskState::kDone) {
      session.progress->skip_task();
      ++outcome.done_before;
    } else if (failed_need != task.needs.end()) {
      fail(task, "needs " + *failed_need + ", which failed");
    } else {
      try {
        task.run(session);
        states[task.name] = TaskState::kDone;
        ++outcome.done_now;
      } catch (const Interrupted&) {
        throw;
      } catch (const std::exception& error) {
        session.log.close_file();
        fail(task, error.what());
      }
    }
    session.progress->end_task();
  }
  session.progress->finish();
  session.progress.reset();
  return outcome;
}

}  // namespace basin
