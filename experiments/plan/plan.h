// A plan: tasks that need each other, each with its own folder. It can be run, shared between
// processes, and resumed.
#pragma once

#include <filesystem>
#include <functional>
#include <set>
#include <string>
#include <vector>

#include "experiments/program/session.h"

namespace basin {

// What a task costs, in images through the network.
struct TaskCost {
  double train_images = 0;     // forward, backward and update
  double evaluate_images = 0;  // forward only
  int64_t image_side = 32, classes = 10;
  bool at_most = false;  // the task ends earlier when its answer is found
};

struct Task {
  std::string name;                        // unique in the plan
  std::set<std::string> experiments = {};  // those that need it, such as "curves"
  std::vector<std::string> needs = {};     // names of tasks added before
  std::filesystem::path folder;            // holds DONE when the task is done
  TaskCost cost;
  std::function<void(Session&)> run;  // resumes what is in the folder
};

// Share `index` (from 0) of `count` of the work.
struct Shard {
  int64_t index = 0, count = 1;
  // "2/4": the second of four. Throws Error for anything else.
  static Shard parse(const std::string& text);
};

struct PlanOutcome {
  size_t done_before = 0, done_now = 0;
  std::vector<std::string> failures;  // "name: why"
};

class Plan {
 public:
  void add(Task task);
  const std::vector<Task>& tasks() const { return tasks_; }

  // Keeps the tasks of these experiments, and what they need.
  void select(const std::set<std::string>& experiments);

  // The shard of each task: the one with the least work so far. The same in every process.
  std::vector<int64_t> assign(int64_t shards) const;

  // Runs the shard's unfinished tasks in order. A failed task is logged; the others are run, except
  // those that need it. Waits for the tasks of other shards, which write their failures to
  // `failed`. Throws Interrupted after SIGINT or SIGTERM.
  PlanOutcome run(const Shard& shard, const std::filesystem::path& failed, Session& session) const;

 private:
  std::vector<Task> tasks_;
};

// The weight of a task in the progress of a plan: forward passes of 32x32 images, with a training
// step counted as three.
double task_weight(const TaskCost& cost);

}  // namespace basin
