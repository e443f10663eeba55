// From a preset to the plan of its runs and analyses.
#include "experiments/plan/paper.h"

#include <fcntl.h>
#include <fmt/chrono.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <ctime>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>

#include "data/image/contact_sheet.h"
#include "engine/files.h"
#include "experiments/cka/cka.h"
#include "experiments/criticality/criticality.h"
#include "experiments/distance/distance.h"
#include "experiments/extent/extent.h"
#include "experiments/interpolate/interpolate.h"
#include "experiments/mistakes/mistakes.h"
#include "experiments/plan/device_cost.h"
#include "experiments/program/analyses.h"
#include "experiments/program/csv.h"
#include "experiments/program/run_folder.h"
#include "experiments/program/train.h"
#include "experiments/registry.h"
#include "experiments/report/report.h"
#include "experiments/rewind/rewind.h"
#include "experiments/spectrum/spectrum.h"
#include "kernels/base/check.h"
#include "kernels/base/parallel.h"
#include "models/network.h"

namespace basin {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

constexpr uint64_t kFirstShuffleSeed = 1234;

// Which training run on a target is meant.
struct RunSpec {
  bool finetune = true;
  size_t rate = 0;  // in the recipe's list; 0: the main one
  int64_t seed = 1;
  int64_t block_shuffle = 0;  // 0: none
  bool pixel_shuffle = false;
  bool augment = false;
  std::optional<int64_t> pretrained_epoch;  // none: the last
  bool same_init = false;                   // initial weights of the random start with seed 1
};

class PaperPlan {
 public:
  PaperPlan(const PaperOptions& options, Session& session)
      : options_(options),
        session_(session),
        preset_(preset_of(options.preset, options.data)),
        out_(options.out) {
    for (const std::string& name : options.only) {
      const auto known = experiment_names();
      BASIN_CHECK(std::find(known.begin(), known.end(), name) != known.end(),
                  "--only: no experiment is named '", name, "'; known: ", fmt_join(known));
    }
    add_pretraining();
    for (const TargetDomain& target : preset_.targets) add_target(target);
    add_across();
    if (!options.only.empty()) plan_.select({options.only.begin(), options.only.end()});
  }

  const Preset& preset() const { return preset_; }
  const Plan& plan() const { return plan_; }

  void run() {
    const auto start = std::chrono::steady_clock::now();
    check_preset();
    create_folders(out_ / "runs");
    create_folders(out_ / "analyses");
    create_folders(out_ / "sheets");
    const Lock lock(out_, options_.shard);
    const auto done =
        static_cast<size_t>(std::count_if(plan_.tasks().begin(), plan_.tasks().end(),
                                          [](const Task& task) { return is_done(task.folder); }));
    session_.log.message(fmt::format(
        "preset {}: {} tasks in {}, {} done before, {} threads{}", options_.preset,
        plan_.tasks().size(), out_.string(), done, threads(),
        options_.shard.count > 1
            ? fmt::format(", share {} of {}", options_.shard.index + 1, options_.shard.count)
            : ""));
    write_plan(start);
    write_sheets();
    PlanOutcome outcome;
    try {
      outcome = plan_.run(options_.shard, out_ / "failed", session_);
    } catch (const Interrupted&) {
      write_plan(start);
      throw;
    }
    write_plan(start);
    write_report(out_);
    if (outcome.done_now == 0 && outcome.failures.empty()) {
      session_.log.message("all tasks were done before; the report was written anew");
    }
    std::string list;
    for (const std::string& failure : outcome.failures) list += "\n  " + failure;
    BASIN_CHECK(outcome.failures.empty(), outcome.failures.size(), " of ", plan_.tasks().size(),
                " tasks failed:", list);
  }

 private:
  // One process per share: a second one would write the same files.
  class Lock {
   public:
    Lock(const fs::path& out, const Shard& shard)
        : path_(out / fmt::format("share-{}-of-{}.lock", shard.index + 1, shard.count)),
          descriptor_(::open(path_.c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0666)) {
      BASIN_CHECK(descriptor_ >= 0, path_.string(), ": cannot be created. Is the disk full?");
      if (::flock(descriptor_, LOCK_EX | LOCK_NB) != 0) {
        ::close(descriptor_);
        throw Error(concat(out.string(),
                           ": another process is at work on this share of the plan. "
                           "Wait for it, or choose another --shard or --out"));
      }
    }
    ~Lock() { ::close(descriptor_); }
    Lock(const Lock&) = delete;
    Lock& operator=(const Lock&) = delete;

   private:
    fs::path path_;
    int descriptor_;
  };

  static std::string fmt_join(const std::vector<std::string>& names) {
    return fmt::format("{}", fmt::join(names, ", "));
  }

  // Finished tasks are reused by name: those of other settings must not pass for this plan's.
  void check_preset() const {
    const fs::path path = out_ / "plan.json";
    if (!fs::exists(path)) return;
    const auto plan = nlohmann::json::parse(read_file(path), nullptr, false);
    BASIN_CHECK(plan.is_object(), path.string(), " is damaged. Remove it, or choose another --out");
    const std::string name = plan.value("preset", "");
    BASIN_CHECK(name == options_.preset, out_.string(), " holds the results of --preset ", name,
                ", not of ", options_.preset, ". Choose another --out");
    const std::string precision = plan.value("precision", name_of(Precision::kFp32));
    BASIN_CHECK(precision == name_of(session_.precision), out_.string(),
                " holds results of networks in ", precision, ", not in ",
                name_of(session_.precision), ". Add --precision ", precision,
                ", or choose another --out");
    const auto settings = plan.value("settings", nlohmann::json());
    BASIN_CHECK(settings == nlohmann::json::parse(preset_text(preset_)), out_.string(),
                " holds the results of --preset ", name,
                " with other settings (by another version, or from other data). Choose another "
                "--out");
  }

  fs::path run_folder(const std::string& name) const { return out_ / "runs" / name; }

  // ---- Training runs ----------------------------------------------------------------------------

  void add_pretraining() {
    TrainOptions train;
    train.model = preset_.model;
    train.data = preset_.source_data;
    set_recipe(train, preset_.source, 0, preset_.source.augment);
    train.train_eval_size = preset_.source_train_eval;
    add_training("pretrain", train, preset_.source_size, {}, {"curves"});
  }

  static void set_recipe(TrainOptions& train, const Recipe& recipe, size_t rate, bool augment) {
    train.epochs = recipe.epochs;
    train.batch_size = recipe.batch_size;
    train.schedule = {recipe.rates.at(rate).value, recipe.milestones, 0.1};
    train.mixup = recipe.mixup;
    train.augment = augment;
  }

  void add_training(const std::string& name, TrainOptions train, const DataSize& size,
                    std::vector<std::string> needs, std::set<std::string> experiments) {
    train.out = run_folder(name);
    train.resume = true;
    train.data.seed = train.seed;
    const auto epochs = static_cast<double>(train.epochs);
    const double evaluated =
        static_cast<double>(train.train_eval_size ? train.train_eval_size : size.train_images);
    const double tests = static_cast<double>(train.epochs / train.test_every + 1);
    TaskCost cost{
        .train_images = epochs * static_cast<double>(size.train_images),
        .evaluate_images = (epochs + 1) * evaluated + tests * static_cast<double>(size.test_images),
        .image_side = size.image_side,
        .classes = size.classes};
    plan_.add({name, std::move(experiments), std::move(needs), train.out, cost,
               [this, train] { train_run(train); }});
  }

  void train_run(const TrainOptions& options) { basin::train(options, session_); }

  std::string run_name(const TargetDomain& target, const RunSpec& run) const {
    const Recipe& recipe = run.finetune ? target.finetune : target.randinit;
    std::string name =
        fmt::format("{}-{}-lr{}", target.name, run.finetune ? "finetune" : "randinit",
                    recipe.rates.at(run.rate).label);
    if (recipe.augment && !run.augment) name += "-noaug";
    if (run.block_shuffle) name += fmt::format("-block{}", run.block_shuffle);
    if (run.pixel_shuffle) name += "-pixels";
    if (run.pretrained_epoch) name += fmt::format("-from{}", *run.pretrained_epoch);
    if (run.same_init) name += "-sameinit";
    return name + fmt::format("-{}", run.seed);
  }

  // Adds the run to the plan, or `experiment` to the run, and returns its name.
  std::string add_run(const TargetDomain& target, const RunSpec& run,
                      const std::string& experiment) {
    const std::string name = run_name(target, run);
    const Recipe& recipe = run.finetune ? target.finetune : target.randinit;
    const bool shuffled = run.block_shuffle || run.pixel_shuffle;
    TrainOptions train;
    train.model = preset_.model;
    train.data = target.data;
    set_recipe(train, recipe, run.rate, run.augment);
    train.train_eval_size = preset_.train_eval;
    train.test_every = preset_.test_every;
    train.seed = static_cast<uint64_t>(run.seed);
    train.block_shuffle = run.block_shuffle;
    train.pixel_shuffle = run.pixel_shuffle;
    train.shuffle_seed = kFirstShuffleSeed + train.seed - 1;
    if (run.same_init) train.init_seed = 1;
    // Runs that only their end and their training speed are asked of.
    if (shuffled || run.pretrained_epoch) {
      train.test_every = recipe.epochs;
      train.checkpoint_every = 0;
    }
    std::vector<std::string> needs;
    if (run.finetune) {
      needs.push_back("pretrain");
      train.init = epoch_checkpoint(run_folder("pretrain"), pretrained_epoch(run)).string();
    }
    add_training(name, train, target.size, needs, {experiment});
    if (runs_.contains(name)) {
      runs_[name].second["experiments"].push_back(experiment);
      return name;
    }
    Json json;
    json["path"] = "runs/" + name;
    json["experiments"] = {experiment};
    json["target"] = target.name;
    json["start"] = run.finetune ? "finetune" : "randinit";
    json["learning_rate"] = recipe.rates.at(run.rate).value;
    json["rate_label"] = recipe.rates.at(run.rate).label;
    json["seed"] = run.seed;
    if (run.finetune) json["pretrained_epoch"] = pretrained_epoch(run);
    json["shuffle"] = run.pixel_shuffle   ? "pixels"
                      : run.block_shuffle ? fmt::format("block{}", run.block_shuffle)
                                          : "none";
    json["shuffle_seed"] = train.shuffle_seed;
    json["augment"] = run.augment;
    json["same_init"] = run.same_init;
    runs_[name] = {runs_.size(), json};
    return name;
  }

  int64_t pretrained_epoch(const RunSpec& run) const {
    return run.pretrained_epoch.value_or(preset_.source.epochs);
  }

  RunSpec main_run(const TargetDomain& target, bool finetune, int64_t seed) const {
    RunSpec run;
    run.finetune = finetune;
    run.seed = seed;
    run.augment = (finetune ? target.finetune : target.randinit).augment;
    return run;
  }

  fs::path main_folder(const TargetDomain& target, bool finetune, int64_t seed) const {
    return run_folder(run_name(target, main_run(target, finetune, seed)));
  }

  void add_target(const TargetDomain& target) {
    for (const bool finetune : {true, false}) {
      const Recipe& recipe = finetune ? target.finetune : target.randinit;
      for (size_t rate = 0; rate < recipe.rates.size(); ++rate) {
        RunSpec run = main_run(target, finetune, 1);
        run.rate = rate;
        const int64_t seeds = rate == 0 ? preset_.seeds : preset_.other_rate_seeds;
        for (run.seed = 1; run.seed <= seeds; ++run.seed) add_run(target, run, "curves");
      }
    }
    add_analyses(target);
    if (target.multi_label) return;
    add_shuffling(target);
    add_checkpoints(target);
  }

  void add_shuffling(const TargetDomain& target) {
    for (const bool finetune : {true, false}) {
      const Recipe& recipe = finetune ? target.finetune : target.randinit;
      const size_t rates = preset_.shuffle_other_rates ? recipe.rates.size() : 1;
      for (size_t rate = 0; rate < rates; ++rate) {
        RunSpec run;
        run.finetune = finetune;
        run.rate = rate;
        for (run.seed = 1; run.seed <= preset_.unshuffled_runs; ++run.seed) {
          add_run(target, run, "shuffle");
        }
        for (run.seed = 1; run.seed <= preset_.shuffle_permutations; ++run.seed) {
          for (const int64_t block : preset_.shuffle_blocks) {
            run.block_shuffle = block;
            add_run(target, run, "shuffle");
          }
        }
        run.block_shuffle = 0;
        run.pixel_shuffle = true;
        for (run.seed = 1; run.seed <= preset_.shuffle_pixel_permutations; ++run.seed) {
          add_run(target, run, "shuffle");
        }
      }
    }
  }

  void add_checkpoints(const TargetDomain& target) {
    const size_t rates = preset_.checkpoint_other_rates ? target.finetune.rates.size() : 1;
    for (size_t rate = 0; rate < rates; ++rate) {
      for (const int64_t epoch : preset_.pretraining_checkpoints) {
        for (int64_t seed = 1; seed <= preset_.checkpoint_seeds; ++seed) {
          RunSpec run = main_run(target, true, seed);
          run.rate = rate;
          if (epoch != preset_.source.epochs) run.pretrained_epoch = epoch;
          add_run(target, run, "checkpoints");
        }
      }
    }
  }

  // ---- Analyses ---------------------------------------------------------------------------------

  static double test_images(const TargetDomain& target) {
    return static_cast<double>(target.size.test_images);
  }

  // The pairs of networks that the analyses compare.
  struct Pair {
    std::string name;
    fs::path first, second;
    std::vector<std::string> needs;
  };

  // One end of a pair: a run, and whether its best or its last checkpoint is meant.
  Pair pair_of(const TargetDomain& target, const std::string& name, const RunSpec& first,
               bool first_best, const RunSpec& second, bool second_best) const {
    auto path = [&](const RunSpec& run, bool best) {
      return run_folder(run_name(target, run)) / "checkpoints" /
             (best ? "best.safetensors" : "last.safetensors");
    };
    Pair pair{name, path(first, first_best), path(second, second_best), {}};
    for (const RunSpec* run : {&first, &second}) {
      const std::string need = run_name(target, *run);
      if (pair.needs.empty() || pair.needs.front() != need) pair.needs.push_back(need);
    }
    return pair;
  }

  std::vector<Pair> main_pairs(const TargetDomain& target) const {
    const RunSpec finetune = main_run(target, true, 1), randinit = main_run(target, false, 1);
    return {
        pair_of(target, "finetune-finetune", finetune, false, main_run(target, true, 2), false),
        pair_of(target, "randinit-randinit", randinit, false, main_run(target, false, 2), false),
        pair_of(target, "randinit-finetune", randinit, false, finetune, false)};
  }

  void add_analysis(const std::string& experiment, const TargetDomain& target,
                    const std::string& detail, std::vector<std::string> needs, double images,
                    const std::function<void(const fs::path&)>& run, bool at_most = false) {
    const std::string name = experiment + "-" + target.name + (detail.empty() ? "" : "-" + detail);
    const fs::path folder = out_ / "analyses" / name;
    TaskCost cost{.train_images = 0,
                  .evaluate_images = images,
                  .image_side = target.size.image_side,
                  .classes = target.size.classes,
                  .at_most = at_most};
    plan_.add({name, {experiment}, std::move(needs), folder, cost, [run, folder] { run(folder); }});
    Json json;
    json["experiment"] = experiment;
    json["target"] = target.name;
    json["pair"] = detail;
    json["folder"] = "analyses/" + name;
    analyses_.push_back(json);
  }

  void add_interpolation(const TargetDomain& target, const Pair& pair) {
    add_analysis("interpolate", target, pair.name, pair.needs,
                 static_cast<double>(preset_.interpolation_points) * test_images(target),
                 [this, &target, pair](const fs::path& folder) {
                   InterpolateOptions o;
                   o.from = pair.first;
                   o.to = pair.second;
                   o.data = target.data;
                   o.points = preset_.interpolation_points;
                   o.kind = pair.name;
                   o.target = target.name;
                   o.out = folder;
                   run_interpolate(o, session_);
                 });
  }

  void add_analyses(const TargetDomain& target) {
    const RunSpec finetune = main_run(target, true, 1), randinit = main_run(target, false, 1);
    const std::vector<Pair> pairs = main_pairs(target);
    for (const Pair& pair : pairs) add_interpolation(target, pair);
    if (target.multi_label) {
      const RunSpec second_finetune = main_run(target, true, 2);
      const RunSpec second_randinit = main_run(target, false, 2);
      add_interpolation(target, pair_of(target, "finetune_best-finetune_best", finetune, true,
                                        second_finetune, true));
      add_interpolation(target, pair_of(target, "finetune_best-finetune", second_finetune, true,
                                        second_finetune, false));
      add_interpolation(target, pair_of(target, "randinit_best-randinit_best", randinit, true,
                                        second_randinit, true));
      add_interpolation(target, pair_of(target, "randinit_best-randinit", second_randinit, true,
                                        second_randinit, false));
      add_interpolation(
          target, pair_of(target, "finetune_best-randinit_best", finetune, true, randinit, true));
    } else {
      RunSpec same = main_run(target, false, 2);
      same.same_init = true;
      add_run(target, same, "interpolate");
      add_interpolation(target, pair_of(target, "same_init", randinit, false, same, false));
    }
    add_extents(target, pairs);
    for (const Pair& pair : pairs) add_mistakes(target, pair);
    for (const Pair& pair : pairs) add_cka(target, pair);
    add_cka(target, {"finetune-pretrained",
                     main_folder(target, true, 1),
                     run_folder("pretrain"),
                     {run_name(target, finetune), "pretrain"}});
    const auto modules = static_cast<double>(module_count());
    const auto settings = static_cast<double>(preset_.rewind_epochs.size()) +
                          static_cast<double>(preset_.random_draws);
    for (const bool start : {true, false}) {
      const std::string run = run_name(target, main_run(target, start, 1));
      const std::string kind = start ? "finetune" : "randinit";
      add_analysis("rewind", target, kind, {run}, (1 + modules * settings) * test_images(target),
                   [this, &target, run](const fs::path& folder) {
                     RewindOptions rewind;
                     rewind.run = run_folder(run);
                     rewind.data = target.data;
                     rewind.to_epochs = preset_.rewind_epochs;
                     rewind.random_draws = preset_.random_draws;
                     rewind.out = folder;
                     run_rewind(rewind, session_);
                   });
      add_criticality(target, kind, run);
    }
    add_analysis("spectrum", target, "",
                 {"pretrain", run_name(target, finetune), run_name(target, randinit)}, 1,
                 [this, &target](const fs::path& folder) {
                   SpectrumOptions o;
                   o.networks = {{"pretrained", run_folder("pretrain")},
                                 {"finetune", main_folder(target, true, 1)},
                                 {"randinit", main_folder(target, false, 1)},
                                 {"init", epoch_checkpoint(main_folder(target, false, 1), 0)}};
                   o.out = folder;
                   run_spectrum(o, session_);
                 });
    std::vector<std::string> needs = {"pretrain"};
    for (const bool start : {true, false}) {
      for (const int64_t seed : {1, 2}) {
        needs.push_back(run_name(target, main_run(target, start, seed)));
      }
    }
    add_analysis("distance", target, "", needs, 1,
                 [this, &target](const fs::path& folder) { write_distances(target, folder); });
  }

  void add_extents(const TargetDomain& target, const std::vector<Pair>& pairs) {
    const double line = 3 / preset_.extent_step + 1;
    const double noise = 2.0 * 10 * 2 * static_cast<double>(preset_.extent_noise_draws);
    std::string finetune_extent;
    for (const Pair& pair : pairs) {
      if (pair.name == "randinit-finetune") continue;
      const bool finetune = pair.name == "finetune-finetune";
      std::vector<std::string> needs = pair.needs;
      if (finetune) {
        finetune_extent = "extent-" + target.name + "-" + pair.name;
      } else {
        needs.push_back(finetune_extent);
      }
      add_analysis(
          "extent", target, pair.name, needs, (line + noise) * test_images(target),
          [this, &target, pair, finetune, finetune_extent](const fs::path& folder) {
            ExtentOptions o;
            o.from = pair.first;
            o.to = pair.second;
            o.data = target.data;
            o.step = preset_.extent_step;
            o.noise_draws = preset_.extent_noise_draws;
            // Two RI-T are asked whether they meet condition 1 with the epsilon of P-T.
            if (!finetune) {
              const fs::path other = out_ / "analyses" / finetune_extent / "result.json";
              o.threshold_epsilon = Json::parse(read_file(other)).at("epsilon");
            }
            o.out = folder;
            run_extent(o, session_);
          },
          true);
    }
  }

  void add_mistakes(const TargetDomain& target, const Pair& pair) {
    add_analysis(
        "mistakes", target, pair.name, pair.needs, 2 * test_images(target),
        [this, &target, pair](const fs::path& folder) {
          run_mistakes(
              {.a = pair.first, .b = pair.second, .data = target.data, .model = "", .out = folder},
              session_);
        });
  }

  void add_cka(const TargetDomain& target, const Pair& pair) {
    add_analysis("cka", target, pair.name, pair.needs, 2 * test_images(target),
                 [this, &target, pair](const fs::path& folder) {
                   CkaOptions o;
                   o.a = pair.first;
                   o.b = pair.second;
                   o.data = target.data;
                   o.out = folder;
                   run_cka(o, session_);
                 });
  }

  void add_criticality(const TargetDomain& target, const std::string& kind,
                       const std::string& run) {
    const auto& chosen = preset_.criticality_targets;
    if (std::find(chosen.begin(), chosen.end(), target.name) == chosen.end()) return;
    const int64_t images =
        target.criticality_images ? target.criticality_images : target.size.train_images;
    const auto cells = static_cast<double>(2 * module_count() * preset_.criticality_distances *
                                           preset_.criticality_noise_levels *
                                           std::max<int64_t>(5, preset_.criticality_draws));
    add_analysis(
        "criticality", target, kind, {run}, cells * static_cast<double>(images),
        [this, &target, run](const fs::path& folder) {
          CriticalityOptions o;
          o.run = run_folder(run);
          o.data = target.data;
          o.images = target.criticality_images;
          o.distances = preset_.criticality_distances;
          o.noise_levels = preset_.criticality_noise_levels;
          o.draws = preset_.criticality_draws;
          // On the multi-label target training on hurts: the best checkpoint is the end.
          o.end_point = target.multi_label ? "best" : "final";
          o.out = folder;
          run_criticality(o, session_);
        },
        true);
  }

  size_t module_count() const {
    ModelOptions model;
    model.name = preset_.model;
    Stream stream(Device::kCpu);
    if (!module_count_) {
      module_count_ = make_network(model, DType::kF32, stream, State::Use::kValuesOnly)
                          ->state()
                          .modules()
                          .size();
    }
    return *module_count_;
  }

  // Between fine-tuned networks of different domains with the same classes.
  void add_across() {
    for (const TargetDomain& first : preset_.targets) {
      for (const TargetDomain& second : preset_.targets) {
        if (&first == &second || first.multi_label || second.multi_label) continue;
        Pair pair{"across-" + second.name,
                  main_folder(first, true, 1),
                  main_folder(second, true, 1),
                  {run_name(first, main_run(first, true, 1)),
                   run_name(second, main_run(second, true, 1))}};
        add_interpolation(first, pair);
      }
    }
  }

  void write_distances(const TargetDomain& target, const fs::path& folder) {
    if (open_run_folder(session_, folder, "distance", {{"target", target.name}}, true, false) ==
        RunStatus::kDone) {
      return;
    }
    CsvTable table({"pair", "module", "distance", "norm_a", "norm_b"});
    auto add = [&](const std::string& pair, const fs::path& a, const fs::path& b) {
      for (const Distance& row : checkpoint_distances(a, b, "", session_)) {
        table.add_row({pair, row.module, csv_number(row.distance), csv_number(row.norm_a),
                       csv_number(row.norm_b)});
      }
    };
    const fs::path pretrained = run_folder("pretrain");
    for (const bool start : {true, false}) {
      const std::string kind = start ? "finetune" : "randinit";
      add(kind + "-" + kind, main_folder(target, start, 1), main_folder(target, start, 2));
    }
    add("finetune-pretrained", main_folder(target, true, 1), pretrained);
    add("randinit-pretrained", main_folder(target, false, 1), pretrained);
    table.write(folder / "distance.csv");
    finish_run_folder(session_, folder);
  }

  // ---- Files ------------------------------------------------------------------------------------

  void write_sheets() {
    for (const TargetDomain& target : preset_.targets) {
      const data::Dataset& images = *session_.load(target.data).test;
      const fs::path plain = out_ / "sheets" / (target.name + ".png");
      if (!fs::exists(plain)) data::write_contact_sheet(images, plain.string(), 10, 10);
      const fs::path shuffled = out_ / "sheets" / (target.name + "-shuffled.png");
      if (target.multi_label || fs::exists(shuffled)) continue;
      data::write_shuffle_sheet(images, shuffled.string(), descending_blocks(), kFirstShuffleSeed,
                                10);
    }
  }

  std::vector<int64_t> descending_blocks() const {
    return {preset_.shuffle_blocks.rbegin(), preset_.shuffle_blocks.rend()};
  }

  // Seconds of this folder's former calls count too.
  void write_plan(std::chrono::steady_clock::time_point start) {
    const fs::path path = out_ / "plan.json";
    Json json;
    json["title"] = preset_.title;
    json["preset"] = options_.preset;
    json["precision"] = name_of(session_.precision);
    if (!started_) {
      started_ = fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(std::time(nullptr)));
      if (fs::exists(path)) {
        const Json before = Json::parse(read_file(path));
        started_ = before.value("started", *started_);
        seconds_before_ = before.value("seconds", 0.0);
      }
    }
    json["started"] = *started_;
    json["seconds"] =
        seconds_before_ +
        std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    json["machine"] = {{"cpu", cpu_name()}, {"threads", threads()}, {"commit", commit_text()}};
    json["source"] = {{"data", preset_.source_data.spec},
                      {"split", preset_.source_data.split},
                      {"images", preset_.source_size.train_images},
                      {"epochs", preset_.source.epochs},
                      {"model", preset_.model},
                      {"run", "runs/pretrain"}};
    json["targets"] = Json::array();
    json["sheets"] = Json::array();
    for (const TargetDomain& target : preset_.targets) {
      Json entry;
      entry["name"] = target.name;
      entry["data"] = target.data.spec;
      entry["train_size"] = target.size.train_images;
      entry["test_size"] = test_images(target);
      entry["epochs"] = target.finetune.epochs;
      for (const bool start : {true, false}) {
        for (int64_t seed = 1; seed <= preset_.seeds; ++seed) {
          entry[start ? "finetune" : "randinit"].push_back(
              "runs/" + run_name(target, main_run(target, start, seed)));
        }
      }
      json["targets"].push_back(entry);
      json["sheets"].push_back(
          {{"data", target.data.spec}, {"png", "sheets/" + target.name + ".png"}});
      if (target.multi_label) continue;
      json["sheets"].push_back(
          {{"data", fmt::format("{} as it is and, downwards, with shuffled blocks of {} pixels and "
                                "all values shuffled",
                                target.data.spec, fmt::join(descending_blocks(), ", "))},
           {"png", "sheets/" + target.name + "-shuffled.png"}});
    }
    std::vector<Json> runs(runs_.size());
    for (const auto& [name, run] : runs_) runs[run.first] = run.second;
    json["runs"] = runs;
    json["analyses"] = analyses_;
    json["settings"] = Json::parse(preset_text(preset_));
    write_file_atomically(path, json.dump(2) + "\n");
  }

  const PaperOptions& options_;
  Session& session_;
  const Preset preset_;
  const fs::path out_;
  Plan plan_;
  std::map<std::string, std::pair<size_t, Json>> runs_;  // by name: place in the list, description
  std::vector<Json> analyses_;
  mutable std::optional<size_t> module_count_;
  std::optional<std::string> started_;
  double seconds_before_ = 0;
};

}  // namespace

void run_paper(const PaperOptions& options, Session& session) {
  PaperPlan(options, session).run();
}

std::vector<Task> paper_tasks(const PaperOptions& options, Session& session) {
  std::vector<Task> tasks = PaperPlan(options, session).plan().tasks();
  for (Task& task : tasks) task.run = nullptr;
  return tasks;
}

std::string describe_paper(const PaperOptions& options, Session& session) {
  const PaperPlan paper(options, session);
  const std::vector<Task>& tasks = paper.plan().tasks();
  const std::vector<int64_t> owners = paper.plan().assign(options.shard.count);
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
      costs[key] = measure_device_cost(paper.preset().model, key.first, key.second, session);
    }
    const DeviceCost& cost = costs.at(key);
    const double flops =
        task.cost.train_images * cost.train_flops + task.cost.evaluate_images * cost.evaluate_flops;
    const double seconds = task.cost.train_images * cost.train_seconds +
                           task.cost.evaluate_images * cost.evaluate_seconds;
    const double images = task.cost.train_images + task.cost.evaluate_images;
    const bool done = is_done(task.folder);
    const bool begun = !done && fs::exists(task.folder);
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
        paper.preset().model, key.first, key.first, key.second, 1 / cost.train_seconds,
        1 / cost.evaluate_seconds);
  }
  return text;
}

}  // namespace basin
