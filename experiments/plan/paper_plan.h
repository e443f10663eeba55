// The plan of a preset: experiments add the runs and analyses they need, and runs are shared.
#pragma once

#include <array>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "experiments/plan/plan.h"
#include "experiments/plan/presets.h"
#include "experiments/program/session.h"
#include "experiments/program/start.h"
#include "experiments/registry.h"

namespace basin {

// The task that all fine-tuning needs.
inline constexpr const char* kPretraining = "pretrain";

struct PaperOptions {
  std::string preset = "demo";
  PresetData data = {};
  std::filesystem::path out = "runs/paper";
  std::vector<std::string> only = {};  // experiments; empty: all
  Shard shard = {};
};

// A training run on a target.
struct TargetRun {
  Start start = Start::kFinetune;
  size_t rate = 0;  // in the recipe's list; 0: the main one
  int64_t seed = 1;
  int64_t block_shuffle = 0;  // 0: none
  bool pixel_shuffle = false;
  bool augment = false;
  std::optional<int64_t> pretrained_epoch = {};  // none: the last
  bool same_init = false;                        // initial weights of the random start with seed 1

  uint64_t shuffle_seed() const { return kFirstShuffleSeed + static_cast<uint64_t>(seed) - 1; }
  static constexpr uint64_t kFirstShuffleSeed = 1234;
};

// Two networks to compare.
struct NetworkPair {
  std::string name;  // "finetune-randinit"
  std::filesystem::path first, second;
  std::vector<std::string> needs;  // the runs that make them
};

// An analysis of networks on a target, in analyses/<experiment>-<target>-<detail>.
struct Analysis {
  const TargetDomain& target;
  std::string detail = {};  // may be empty
  std::vector<std::string> needs;
  double images = 0;  // evaluated
  bool at_most = false;
  bool after_all_targets = false;
};

class PaperPlan {
 public:
  // Needs no data. Throws Error for an unknown preset or experiment.
  explicit PaperPlan(const PaperOptions& options);
  PaperPlan(const PaperPlan&) = delete;
  PaperPlan& operator=(const PaperPlan&) = delete;

  const PaperOptions& options() const { return options_; }
  const Preset& preset() const { return preset_; }

  // ---- For the experiments, in add_to_plan() ---------------------------------------------------

  // Adds the run unless the plan has it, and returns its name.
  std::string add_run(const TargetDomain& target, const TargetRun& run);
  // Adds run(options, session). The options' data are the target's, and their folder is the
  // analysis's.
  template <class Options, class Run>
  void add_analysis(const Analysis& analysis, Options options, Run run) {
    options.out = analysis_folder(analysis);
    if constexpr (requires { options.data; }) options.data = analysis.target.data;
    add_analysis_task(analysis, [run, options](Session& session) { run(options, session); });
  }

  // The run at the main learning rate.
  TargetRun main_run(const TargetDomain& target, Start start, int64_t seed = 1) const;
  std::string run_name(const TargetDomain& target, const TargetRun& run) const;
  std::filesystem::path run_folder(const std::string& name) const;
  std::filesystem::path run_folder(const TargetDomain& target, const TargetRun& run) const {
    return run_folder(run_name(target, run));
  }
  // A network after its run: its last checkpoint, or its best.
  struct Network {
    TargetRun run;
    bool best = false;
  };
  NetworkPair pair(const TargetDomain& target, const std::string& name, const Network& first,
                   const Network& second) const;
  // Two P-T, two RI-T, and one of each.
  std::vector<NetworkPair> main_pairs(const TargetDomain& target) const;
  // Of the preset's network.
  size_t module_count() const;

  // ---- What came of it -------------------------------------------------------------------------

  struct Item {
    Task task;
    const TargetDomain* target = nullptr;  // none: pre-training
    std::optional<TargetRun> run = {};     // none: an analysis
    std::string detail = {};               // of an analysis
    std::array<size_t, 3> place{};         // target, turn of the experiment, number among its tasks
  };
  // All, in the plan's order.
  const std::vector<Item>& items() const { return items_; }
  // Those of options().only and what they need.
  const Plan& plan() const { return plan_; }

 private:
  void add_pretraining();
  Task training(const std::string& name, struct TrainOptions train, const DataSize& size) const;
  std::filesystem::path analysis_folder(const Analysis& analysis) const;
  void add_analysis_task(const Analysis& analysis, std::function<void(Session&)> run);
  void add_item(Item item, bool after_all_targets);

  const PaperOptions options_;
  const Preset preset_;
  std::vector<Item> items_;
  Plan plan_;
  const Experiment* experiment_ = nullptr;                         // the one that adds
  std::map<std::pair<size_t, const Experiment*>, size_t> counts_;  // of a target's tasks so far
  mutable std::optional<size_t> module_count_;
};

// The test images of a target, as a factor of costs.
inline double test_images(const TargetDomain& target) {
  return static_cast<double>(target.size.test_images);
}

}  // namespace basin
