// From a preset to its runs and analyses.
#include "experiments/plan/paper_plan.h"

#include <fmt/format.h>

#include <algorithm>

#include "experiments/program/run_folder.h"
#include "experiments/program/train.h"
#include "kernels/base/check.h"
#include "models/registry.h"

namespace basin {
namespace {

void set_recipe(TrainOptions& train, const Recipe& recipe, size_t rate, bool augment) {
  train.epochs = recipe.epochs;
  train.batch_size = recipe.batch_size;
  train.schedule = {recipe.rates.at(rate).value, recipe.milestones, 0.1};
  train.mixup = recipe.mixup;
  train.augment = augment;
}

}  // namespace

PaperPlan::PaperPlan(const PaperOptions& options)
    : options_(options), preset_(preset_of(options.preset, options.data)) {
  for (const std::string& name : options.only) {
    const auto known = experiment_names();
    BASIN_CHECK(std::find(known.begin(), known.end(), name) != known.end(),
                "--only: no experiment is named '", name,
                "'; known: ", fmt::format("{}", fmt::join(known, ", ")));
  }
  add_pretraining();
  for (const Experiment& experiment : experiments()) {
    experiment_ = &experiment;
    experiment.add_to_plan(*this);
  }
  std::stable_sort(items_.begin(), items_.end(),
                   [](const Item& a, const Item& b) { return a.place < b.place; });
  for (const Item& item : items_) plan_.add(item.task);
  if (!options.only.empty()) plan_.select({options.only.begin(), options.only.end()});
}

void PaperPlan::add_pretraining() {
  TrainOptions train;
  train.model = preset_.model;
  train.data = preset_.source_data;
  set_recipe(train, preset_.source, 0, preset_.source.augment);
  train.train_eval_size = preset_.source_train_eval;
  items_.push_back({.task = training(kPretraining, train, preset_.source_size)});
  items_.back().task.experiments = {"curves"};
}

Task PaperPlan::training(const std::string& name, TrainOptions train, const DataSize& size) const {
  train.out = run_folder(name);
  train.resume = true;
  train.data.seed = train.seed;
  const auto epochs = static_cast<double>(train.epochs);
  const double evaluated =
      static_cast<double>(train.train_eval_size ? train.train_eval_size : size.train_images);
  const double tests = static_cast<double>(train.epochs / train.test_every + 1);
  return {
      .name = name,
      .folder = train.out,
      .cost = {.train_images = epochs * static_cast<double>(size.train_images),
               .evaluate_images =
                   (epochs + 1) * evaluated + tests * static_cast<double>(size.test_images),
               .image_side = size.image_side,
               .classes = size.classes},
      .run = [train](Session& session) { basin::train(train, session); },
  };
}

void PaperPlan::add_item(Item item, bool after_all_targets) {
  item.task.experiments = {experiment_->name};
  const size_t target = after_all_targets
                            ? preset_.targets.size()
                            : static_cast<size_t>(item.target - preset_.targets.data());
  item.place = {1 + target, experiment_->turn, counts_[{target, experiment_}]++};
  for (Item& known : items_) {
    if (known.task.name != item.task.name) continue;
    known.task.experiments.insert(experiment_->name);
    known.place = std::min(known.place, item.place);
    return;
  }
  items_.push_back(std::move(item));
}

std::string PaperPlan::add_run(const TargetDomain& target, const TargetRun& run) {
  const std::string name = run_name(target, run);
  const Recipe& recipe = target.recipe(run.start);
  TrainOptions train;
  train.model = preset_.model;
  train.data = target.data;
  set_recipe(train, recipe, run.rate, run.augment);
  train.train_eval_size = preset_.train_eval;
  train.test_every = preset_.test_every;
  train.seed = static_cast<uint64_t>(run.seed);
  train.block_shuffle = run.block_shuffle;
  train.pixel_shuffle = run.pixel_shuffle;
  train.shuffle_seed = run.shuffle_seed();
  if (run.same_init) train.init_seed = 1;
  // Nobody looks at more of these runs than their end and their training speed.
  if (run.block_shuffle || run.pixel_shuffle || run.pretrained_epoch) {
    train.test_every = recipe.epochs;
    train.checkpoint_every = 0;
  }
  std::vector<std::string> needs;
  if (run.start == Start::kFinetune) {
    needs.push_back(kPretraining);
    train.init = epoch_checkpoint(run_folder(kPretraining),
                                  run.pretrained_epoch.value_or(preset_.source.epochs))
                     .string();
  }
  Item item{.task = training(name, train, target.size), .target = &target, .run = run};
  item.task.needs = std::move(needs);
  add_item(std::move(item), false);
  return name;
}

std::filesystem::path PaperPlan::analysis_folder(const Analysis& analysis) const {
  std::string name = fmt::format("{}-{}", experiment_->name, analysis.target.name);
  if (!analysis.detail.empty()) name += "-" + analysis.detail;
  return options_.out / "analyses" / name;
}

void PaperPlan::add_analysis_task(const Analysis& analysis, std::function<void(Session&)> run) {
  const std::filesystem::path folder = analysis_folder(analysis);
  Task task{.name = folder.filename().string(),
            .needs = analysis.needs,
            .folder = folder,
            .cost = {.evaluate_images = analysis.images,
                     .image_side = analysis.target.size.image_side,
                     .classes = analysis.target.size.classes,
                     .at_most = analysis.at_most},
            .run = std::move(run)};
  add_item({.task = std::move(task), .target = &analysis.target, .detail = analysis.detail},
           analysis.after_all_targets);
}

TargetRun PaperPlan::main_run(const TargetDomain& target, Start start, int64_t seed) const {
  return {.start = start, .seed = seed, .augment = target.recipe(start).augment};
}

std::string PaperPlan::run_name(const TargetDomain& target, const TargetRun& run) const {
  const Recipe& recipe = target.recipe(run.start);
  std::string name =
      fmt::format("{}-{}-lr{}", target.name, name_of(run.start), recipe.rates.at(run.rate).label);
  if (recipe.augment && !run.augment) name += "-noaug";
  if (run.block_shuffle) name += fmt::format("-block{}", run.block_shuffle);
  if (run.pixel_shuffle) name += "-pixels";
  if (run.pretrained_epoch) name += fmt::format("-from{}", *run.pretrained_epoch);
  if (run.same_init) name += "-sameinit";
  return name + fmt::format("-{}", run.seed);
}

std::filesystem::path PaperPlan::run_folder(const std::string& name) const {
  return options_.out / "runs" / name;
}

NetworkPair PaperPlan::pair(const TargetDomain& target, const std::string& name,
                            const Network& first, const Network& second) const {
  auto path = [&](const Network& network) {
    return run_folder(target, network.run) / "checkpoints" /
           (network.best ? "best.safetensors" : "last.safetensors");
  };
  NetworkPair pair{name, path(first), path(second), {run_name(target, first.run)}};
  const std::string other = run_name(target, second.run);
  if (other != pair.needs.front()) pair.needs.push_back(other);
  return pair;
}

std::vector<NetworkPair> PaperPlan::main_pairs(const TargetDomain& target) const {
  const TargetRun finetune = main_run(target, Start::kFinetune);
  const TargetRun randinit = main_run(target, Start::kRandinit);
  return {
      pair(target, "finetune-finetune", {finetune}, {main_run(target, Start::kFinetune, 2)}),
      pair(target, "randinit-randinit", {randinit}, {main_run(target, Start::kRandinit, 2)}),
      pair(target, "randinit-finetune", {randinit}, {finetune}),
  };
}

size_t PaperPlan::module_count() const {
  if (!module_count_) {
    ModelOptions model;
    model.name = preset_.model;
    Stream stream(Device::kCpu);
    const auto network = make_network(model, DType::kF32, stream, State::Use::kValuesOnly);
    module_count_ = network->state().modules().size();
  }
  return *module_count_;
}

}  // namespace basin
