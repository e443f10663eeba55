// Running the plan, and what lies beside its tasks in the folder.
#include "experiments/plan/paper.h"

#include <fmt/format.h>

#include <algorithm>

#include "data/image/contact_sheet.h"
#include "engine/files.h"
#include "experiments/plan/lock.h"
#include "experiments/plan/plan_json.h"
#include "experiments/program/run_folder.h"
#include "experiments/report/report.h"
#include "kernels/base/check.h"
#include "kernels/base/parallel.h"

namespace basin {
namespace {

namespace fs = std::filesystem;

void write_sheets(const PaperPlan& plan, Session& session) {
  const fs::path folder = plan.options().out / "sheets";
  for (const TargetDomain& target : plan.preset().targets) {
    const data::Dataset& images = *session.load(target.data).test;
    const fs::path plain = folder / (target.name + ".png");
    if (!fs::exists(plain)) data::write_contact_sheet(images, plain.string(), 10, 10);
    const fs::path shuffled = folder / (target.name + "-shuffled.png");
    if (target.multi_label || fs::exists(shuffled)) continue;
    data::write_shuffle_sheet(images, shuffled.string(), sheet_blocks(plan.preset()),
                              TargetRun::kFirstShuffleSeed, 10);
  }
}

}  // namespace

void run_paper(const PaperPlan& plan, Session& session) {
  const fs::path& out = plan.options().out;
  const Shard& shard = plan.options().shard;
  const std::vector<Task>& tasks = plan.plan().tasks();
  const PlanJson plan_json(plan, session.precision);
  for (const char* folder : {"runs", "analyses", "sheets"}) create_folders(out / folder);
  const ShareLock lock(out, shard);
  const auto done = std::count_if(tasks.begin(), tasks.end(),
                                  [](const Task& task) { return is_done(task.folder); });
  session.log.message(fmt::format(
      "preset {}: {} tasks in {}, {} done before, {} threads{}", plan.preset().name, tasks.size(),
      out.string(), done, threads(),
      shard.count > 1 ? fmt::format(", share {} of {}", shard.index + 1, shard.count) : ""));
  plan_json.write();
  write_sheets(plan, session);
  PlanOutcome outcome;
  try {
    outcome = plan.plan().run(shard, out / "failed", session);
  } catch (const Interrupted&) {
    plan_json.write();
    throw;
  }
  plan_json.write();
  write_report(out);
  if (outcome.done_now == 0 && outcome.failures.empty()) {
    session.log.message("all tasks were done before; the report was written again");
  }
  BASIN_CHECK(outcome.failures.empty(), outcome.failures.size(), " of ", tasks.size(),
              " tasks failed:\n  ", fmt::format("{}", fmt::join(outcome.failures, "\n  ")));
}

}  // namespace basin
