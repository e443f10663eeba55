// The loop over batches and settings, and the weights it puts in and takes back.
#include "experiments/program/sweep.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "data/subset.h"

namespace basin {
namespace {

constexpr int64_t kStatisticsBatch = 200;

// Progress of this sweep, where the command has none that covers it.
class OwnProgress {
 public:
  OwnProgress(Session& session, double images) : session_(session), own_(!session.progress) {
    if (own_) session.progress = std::make_unique<Progress>(session.log, images);
  }
  ~OwnProgress() {
    if (!own_) return;
    session_.progress->finish();
    session_.progress.reset();
  }
  OwnProgress(const OwnProgress&) = delete;
  OwnProgress& operator=(const OwnProgress&) = delete;

 private:
  Session& session_;
  bool own_;
};

}  // namespace

Sweep::Sweep(Network& network, const State& base, EvaluationSet& set, EvaluationSet* statistics,
             Session& session)
    : network_(network), set_(set), statistics_(statistics), session_(session) {
  State& state = network.state();
  BASIN_CHECK(statistics || !network.has_batch_norm(),
              "a network with batch norm needs training images to measure its statistics on");
  BASIN_CHECK(network.options().classes == set.dataset().classes(), "the network has ",
              network.options().classes, " classes, ", set.dataset().name(), " has ",
              set.dataset().classes());
  state.copy_from(base);
  if (network.has_batch_norm()) estimate_batch_norm(network, *statistics, session);
  const size_t modules = state.modules().size();
  for (size_t i = 0; i <= modules; ++i) {
    const size_t begin = i < modules ? i : 0, end = i < modules ? i + 1 : modules;
    Part part{begin,
              i < modules ? state.parameter_range(state.modules()[i])
                          : State::Range{0, state.flat_size()},
              {},
              0};
    size_t module = 0;
    for (const State::Entry& entry : state.entries()) {
      while (state.modules()[module] != entry.module) ++module;
      if (module < begin || (module >= end && !entry.buffer)) continue;
      part.entries.push_back(&entry);
      part.elements += entry.shape.elements();
    }
    parts_.push_back(std::move(part));
  }
  save(whole(), base_);
}

std::vector<Evaluation> Sweep::evaluate(const std::vector<WeightSetting>& settings) {
  const std::vector<std::string>& modules = network_.state().modules();
  std::vector<Item> items;
  for (const WeightSetting& setting : settings) {
    size_t part = modules.size();
    if (!setting.module.empty()) {
      network_.state().parameter_range(setting.module);  // throws for an unknown name
      part = static_cast<size_t>(std::find(modules.begin(), modules.end(), setting.module) -
                                 modules.begin());
    }
    items.push_back({&setting,
                     &parts_[part],
                     items.size(),
                     {},
                     EvaluationSum(set_.dataset(), session_.stream)});
  }
  std::stable_sort(items.begin(), items.end(),
                   [](const Item& a, const Item& b) { return a.part->begin < b.part->begin; });
  const OwnProgress progress(
      session_, static_cast<double>(settings.size()) * static_cast<double>(set_.size()));
  std::vector<Evaluation> results(settings.size());
  std::vector<Item> group;
  int64_t bytes = 0;
  auto run_group = [&] {
    if (group.empty()) return;
    run(group);
    for (Item& item : group) {
      Evaluation& result = results[item.index];
      if (item.setting->budget && item.setting->budget->spent()) {
        result.loss = result.score = result.error = std::numeric_limits<double>::quiet_NaN();
      } else {
        result = item.sum.result();
        result.predictions = {};
        result.logits = {};
      }
    }
    group.clear();
    bytes = 0;
  };
  for (Item& item : items) {
    const int64_t cost = item.part->elements * 4 + EvaluationSum::bytes(set_.dataset());
    if (bytes + cost > kSnapshotBytes) run_group();
    bytes += cost;
    group.push_back(std::move(item));
  }
  run_group();
  return results;
}

void Sweep::run(std::vector<Item>& items) {
  if (network_.has_batch_norm()) estimate_statistics(items);
  const size_t modules = network_.state().modules().size();
  auto spent = [](const Item& item) {
    return item.setting->budget && item.setting->budget->spent();
  };
  set_.for_each_batch([&](const EvaluationBatch& batch) {
    Tape tape(session_.stream, session_.arena, false);
    Tensor activation = batch.images;
    size_t done = 0;  // modules that `activation` has passed, with the base's weights
    for (Item& item : items) {
      if (spent(item)) continue;
      check_interruption();
      if (done < item.part->begin) {
        activation =
            network_.forward_range(tape, activation, Mode::kEvaluate, done, item.part->begin);
        done = item.part->begin;
      }
      item.weights ? load(*item.part, *item.weights) : write(item);
      const Tensor logits =
          network_.forward_range(tape, activation, Mode::kEvaluate, done, modules);
      restore(*item.part);
      LossBudget* budget = item.setting->budget;
      const double before = budget ? item.sum.sum_of(budget->kind) : 0;
      item.sum.add(tape, logits, batch);
      if (budget) budget->left -= item.sum.sum_of(budget->kind) - before;
      evaluated_ += batch.images.shape()[0];
      session_.progress->advance(static_cast<double>(batch.images.shape()[0]));
    }
    return !std::all_of(items.begin(), items.end(), spent);
  });
}

// For each item what estimate_batch_norm() does, the modules before the changed one run once.
void Sweep::estimate_statistics(std::vector<Item>& items) {
  const size_t modules = network_.state().modules().size();
  for (Item& item : items) {
    write(item);
    restore(*item.part);
  }
  int64_t batches = 0;
  statistics_->for_each_batch([&](const EvaluationBatch& batch) {
    network_.set_batch_norm_momentum(1.0 / static_cast<double>(++batches));
    Tape tape(session_.stream, session_.arena, false);
    Tensor activation = batch.images;
    size_t done = 0;
    for (Item& item : items) {
      check_interruption();
      if (done < item.part->begin) {
        activation = network_.forward_range(tape, activation, Mode::kTrain, done, item.part->begin);
        done = item.part->begin;
      }
      load(*item.part, *item.weights);
      network_.forward_range(tape, activation, Mode::kTrain, done, modules);
      save(*item.part, item.weights);
      restore(*item.part);
    }
    return true;
  });
  network_.set_batch_norm_momentum(BatchNorm().momentum);
  restore(whole());  // the passes of the first modules moved their statistics
}

void Sweep::write(Item& item) {
  item.setting->write(network_);
  save(*item.part, item.weights);
}

void Sweep::save(const Part& part, std::shared_ptr<Storage>& weights) const {
  if (!weights) weights = allocate_state(part.elements * 4, session_.stream);
  auto* to = static_cast<float*>(weights->data());
  for (const State::Entry* entry : part.entries) {
    session_.stream.copy(to, entry->tensor.data<float>(), entry->shape.elements() * 4);
    to += entry->shape.elements();
  }
}

void Sweep::load(const Part& part, const Storage& weights) {
  const auto* from = static_cast<const float*>(weights.data());
  for (const State::Entry* entry : part.entries) {
    session_.stream.copy(entry->tensor.data<float>(), from, entry->shape.elements() * 4);
    from += entry->shape.elements();
  }
  network_.state().update_copy(part.range);
}

void Sweep::restore(const Part& part) {
  const auto* from = static_cast<const float*>(base_->data());
  auto next = part.entries.begin();
  for (const State::Entry* entry : whole().entries) {
    if (next == part.entries.end()) break;
    if (*next == entry) {
      session_.stream.copy(entry->tensor.data<float>(), from, entry->shape.elements() * 4);
      ++next;
    }
    from += entry->shape.elements();
  }
  network_.state().update_copy(part.range);
}

void estimate_batch_norm(Network& network, EvaluationSet& statistics, Session& session) {
  int64_t batches = 0;
  statistics.for_each_batch([&](const EvaluationBatch& batch) {
    network.set_batch_norm_momentum(1.0 / static_cast<double>(++batches));
    Tape tape(session.stream, session.arena, false);
    network.forward(tape, batch.images, Mode::kTrain);
    return true;
  });
  network.set_batch_norm_momentum(BatchNorm().momentum);
}

std::unique_ptr<EvaluationSet> statistics_set(const Network& network,
                                              std::shared_ptr<const data::Dataset> train,
                                              Session& session) {
  if (!network.has_batch_norm()) return nullptr;
  const int64_t images = std::min(train->size(), kStatisticsImages);
  const int64_t batch = std::min(images, kStatisticsBatch);
  return std::make_unique<EvaluationSet>(
      data::evenly_spaced(std::move(train), images / batch * batch),
      data::LoaderOptions{.batch_size = batch}, session);
}

}  // namespace basin
