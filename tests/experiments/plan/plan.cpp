// Plans: order, selection, shares, failures; and the plans of the presets.
#include "experiments/plan/plan.h"

#include <sstream>
#include <thread>

#include "engine/files.h"
#include "experiments/plan/dry_run.h"
#include "experiments/program/run_folder.h"
#include "tests/experiments/tiny_data.h"
#include "tests/support/errors.h"
#include "tests/support/temporary_folder.h"

using namespace basin;
using namespace basin::test;

namespace {

namespace fs = std::filesystem;

void finish(const fs::path& folder) {
  create_folders(folder);
  write_file_atomically(folder / "DONE", "");
}

struct PlanFixture {
  TemporaryFolder folder;
  std::vector<std::string> ran;

  // A task that records that it ran.
  Task task(const std::string& name, std::vector<std::string> needs = {},
            std::set<std::string> experiments = {"curves"}) {
    const fs::path out = folder.path / name;
    return {name,
            std::move(experiments),
            std::move(needs),
            out,
            {.train_images = 10, .evaluate_images = 1},
            [this, name, out](Session&) {
              ran.push_back(name);
              finish(out);
            }};
  }
  PlanOutcome run(const Plan& plan, Shard shard = {}) {
    return plan.run(shard, folder.path / "failed", *small_session());
  }
};

using Names = std::vector<std::string>;

Names names_of(const Plan& plan) {
  Names names;
  for (const Task& task : plan.tasks()) names.push_back(task.name);
  return names;
}

}  // namespace

TEST_CASE("plan: tasks run in order, once, and a second call finds them done") {
  PlanFixture fixture;
  Plan plan;
  plan.add(fixture.task("first"));
  plan.add(fixture.task("second", {"first"}));
  CHECK(names_of(plan) == Names{"first", "second"});
  const PlanOutcome outcome = fixture.run(plan);
  CHECK(outcome.done_now == 2);
  CHECK(outcome.done_before == 0);
  CHECK(fixture.ran == Names{"first", "second"});
  const PlanOutcome again = fixture.run(plan);
  CHECK(again.done_now == 0);
  CHECK(again.done_before == 2);
  CHECK(fixture.ran.size() == 2);
  CHECK(contains(error_of([&] { plan.add(fixture.task("third", {"fourth"})); }), "needs fourth"));
}

TEST_CASE("plan: a failed task stops only what needs it, and is tried again by the next call") {
  PlanFixture fixture;
  bool broken = true;
  Plan plan;
  Task failing = fixture.task("failing");
  const auto work = failing.run;
  failing.run = [&broken, work](Session& session) {
    if (broken) throw Error("the disk is made of cheese");
    work(session);
  };
  plan.add(failing);
  plan.add(fixture.task("above", {"failing"}));
  plan.add(fixture.task("higher", {"above"}));
  plan.add(fixture.task("beside"));
  const PlanOutcome outcome = fixture.run(plan);
  CHECK(fixture.ran == Names{"beside"});
  REQUIRE(outcome.failures.size() == 3);
  CHECK(contains(outcome.failures[0], "failing: the disk is made of cheese"));
  CHECK(contains(outcome.failures[1], "above: needs failing, which failed"));
  CHECK(contains(outcome.failures[2], "higher: needs above, which failed"));
  broken = false;
  CHECK(fixture.run(plan).failures.empty());
  CHECK(fixture.ran == Names{"beside", "failing", "above", "higher"});
}

TEST_CASE("plan: selected experiments bring what they need") {
  PlanFixture fixture;
  Plan plan;
  plan.add(fixture.task("pretrain"));
  plan.add(fixture.task("run", {"pretrain"}));
  plan.add(fixture.task("other", {"pretrain"}));
  plan.add(fixture.task("features", {"run"}, {"cka"}));
  plan.select({"cka"});
  CHECK(names_of(plan) == Names{"pretrain", "run", "features"});
}

TEST_CASE("plan: shares part the work, wait for each other, and pass on failures") {
  PlanFixture fixture;
  Plan plan;
  plan.add(fixture.task("pretrain"));
  for (const char* name : {"a", "b", "c"}) plan.add(fixture.task(name, {"pretrain"}));
  const std::vector<int64_t> owners = plan.assign(2);
  CHECK(owners == std::vector<int64_t>{0, 1, 0, 1});
  Names ran_second;
  Plan same;  // in another process
  for (Task task : plan.tasks()) {
    task.run = [&ran_second, name = task.name, folder = task.folder](Session&) {
      ran_second.push_back(name);
      finish(folder);
    };
    same.add(task);
  }
  std::thread second([&] { same.run({1, 2}, fixture.folder.path / "failed", *small_session()); });
  std::this_thread::sleep_for(std::chrono::milliseconds(200));  // it has to wait for "pretrain"
  CHECK(ran_second.empty());
  const PlanOutcome outcome = fixture.run(plan, {0, 2});
  second.join();
  CHECK(outcome.failures.empty());
  CHECK(fixture.ran == Names{"pretrain", "b"});
  CHECK(ran_second == Names{"a", "c"});

  Plan broken;
  Task failing = fixture.task("failing");
  failing.run = [](Session&) { throw Error("no"); };
  broken.add(failing);
  broken.add(fixture.task("above", {"failing"}));
  fixture.run(broken, {0, 2});
  const PlanOutcome above = fixture.run(broken, {1, 2});
  REQUIRE(above.failures.size() == 1);
  CHECK(contains(above.failures[0], "needs failing, which failed"));
}

TEST_CASE("plan: what --shard accepts") {
  CHECK(Shard::parse("1/1").count == 1);
  CHECK(Shard::parse("3/8").index == 2);
  for (const char* wrong : {"", "0/3", "4/3", "2", "a/b", "1/2x", "1/0", "-1/2"}) {
    CAPTURE(wrong);
    CHECK(contains(error_of([&] { Shard::parse(wrong); }), "--shard"));
  }
}

TEST_CASE("presets: the paper's protocol has the paper's runs") {
  const PaperOptions options{.preset = "paper"};
  const PaperPlan plan(options);
  const std::vector<Task>& tasks = plan.plan().tasks();
  auto runs_of = [&](const std::string& experiment) {
    return std::count_if(tasks.begin(), tasks.end(), [&](const Task& task) {
      return task.cost.train_images > 0 && task.experiments.contains(experiment);
    });
  };
  CHECK(runs_of("shuffle") == 444);     // Figure 3: 432 shuffled, 12 plain
  CHECK(runs_of("checkpoints") == 78);  // Figure 7
  // Figure 2: pre-training, and twice 3 domains x 2 starts x 2 rates, and 3 kinds on CheXpert.
  CHECK(runs_of("curves") == 1 + 2 * (12 + 3));
  CHECK(runs_of("interpolate") == 3);  // Figure 16: equal initial weights
  const auto pretrain = std::find_if(tasks.begin(), tasks.end(),
                                     [](const Task& task) { return task.name == "pretrain"; });
  REQUIRE(pretrain != tasks.end());
  CHECK(pretrain->cost.train_images == 90.0 * 1281167);
  CHECK_FALSE(fs::exists(options.out));
}

TEST_CASE("presets: a run that several experiments need is in the plan once") {
  const PaperPlan plan({.preset = "demo"});
  int found = 0;
  for (const Task& task : plan.plan().tasks()) {
    if (task.name != "photo-finetune-lr0.01-1") continue;
    ++found;
    CHECK(task.experiments == std::set<std::string>{"checkpoints", "curves", "shuffle"});
  }
  CHECK(found == 1);
}

TEST_CASE("presets: a dry run says where its times are upper bounds") {
  std::istringstream lines(dry_run(PaperPlan({.preset = "smoke"}), *small_session()));
  int early = 0, bounds = 0, others = 0;
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("extent") || line.starts_with("criticality")) {
      ++early;
      bounds += contains(line, "at most");
    }
    if (line.starts_with("cka") || line.starts_with("photo-")) others += contains(line, "at most");
  }
  CHECK(early > 2);  // tasks and totals
  CHECK(bounds == early);
  CHECK(others == 0);
}

TEST_CASE("presets: every experiment has tasks in every preset, and --only knows its names") {
  for (const char* preset : {"smoke", "demo", "paper"}) {
    std::set<std::string> experiments;
    for (const PaperPlan plan({.preset = preset}); const Task& task : plan.plan().tasks()) {
      experiments.insert(task.experiments.begin(), task.experiments.end());
    }
    CAPTURE(preset);
    const auto& names = experiment_names();
    CHECK(experiments == std::set<std::string>(names.begin(), names.end()));
  }
  CHECK(contains(error_of([] { PaperPlan({.only = {"cake"}}); }), "no experiment is named 'cake'"));
  CHECK(contains(error_of([] { PaperPlan({.preset = "huge"}); }), "no preset is named huge"));
}
