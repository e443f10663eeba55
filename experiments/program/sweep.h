// One network evaluated at many weight settings on the same images: interpolation, rewinding,
// criticality and extent are sweeps.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "experiments/program/evaluate.h"

namespace basin {

// What settings that share it may still spend: left -= sum of the loss over a batch's images. Once
// it is below zero (beyond rounding) they are not evaluated any further.
struct LossBudget {
  LossKind kind;
  double left;
  bool spent() const { return !(left >= -1e-6); }
};

// The base weights with those of one module, or of all, replaced.
struct WeightSetting {
  std::string module;                   // whose weights it changes; empty: those of all modules
  std::function<void(Network&)> write;  // given the base weights, changes them; called once or more
  LossBudget* budget = nullptr;         // null: evaluated on all images
};

// Batches outside, settings inside: the modules before the changed one run once a batch, whatever
// the number of settings, and each result has the bits of a plain evaluation of that setting.
//
// Batch norm: running statistics belong to the weights they were measured with. For every setting,
// the base itself included, they are measured again on `statistics`: the mean over its batches of
// each batch's statistics, in training mode, no weight updated. Those of modules before the changed
// one do not depend on it, and are measured once.
//
// Memory: the changed weights of at most kSnapshotBytes of settings at a time (one setting, where
// one takes more); more settings take more passes over the images. Of kept activations, one batch.
class Sweep {
 public:
  static constexpr int64_t kSnapshotBytes = int64_t{512} << 20;

  // `network` is scratch; `base` has its entries. It holds the base between calls.
  // `statistics`: see statistics_set(); null for networks without batch norm.
  Sweep(Network& network, const State& base, EvaluationSet& set, EvaluationSet* statistics,
        Session& session);

  // The evaluations in the order of `settings`, without predictions and logits. Of a setting whose
  // budget is spent all numbers are NaN. Progress advances by the images evaluated.
  std::vector<Evaluation> evaluate(const std::vector<WeightSetting>& settings);

  // Images evaluated so far, once for each setting.
  int64_t evaluated() const { return evaluated_; }
  const Network& network() const { return network_; }

 private:
  // What a setting of one module changes: its parameters, and all statistics from there on.
  struct Part {
    size_t begin;        // index of the first module
    State::Range range;  // the parameters
    std::vector<const State::Entry*> entries;
    int64_t elements;
  };
  struct Item {
    const WeightSetting* setting;
    const Part* part;
    size_t index;                      // in the caller's order
    std::shared_ptr<Storage> weights;  // null until written
    EvaluationSum sum;
  };
  void run(std::vector<Item>& items);
  void estimate_statistics(std::vector<Item>& items);
  void write(Item& item);
  // Copies the entries of `part` to `weights`, which it makes where there are none.
  void save(const Part& part, std::shared_ptr<Storage>& weights) const;
  void load(const Part& part, const Storage& weights);
  // Sets the entries of `part` to their base values.
  void restore(const Part& part);
  const Part& whole() const { return parts_.back(); }

  Network& network_;
  EvaluationSet& set_;
  EvaluationSet* statistics_;
  Session& session_;
  std::vector<Part> parts_;  // of each module, then of all
  int64_t evaluated_ = 0;
  std::shared_ptr<Storage> base_;  // as save(whole()) gives it
};

// Sets the running statistics of all batch norms to the mean over the batches of `statistics`.
void estimate_batch_norm(Network& network, EvaluationSet& statistics, Session& session);

// Most images that statistics are measured on.
constexpr int64_t kStatisticsImages = 1000;
// That many images of `train`, or most of a smaller set, in batches of equal size; null for
// networks without batch norm.
std::unique_ptr<EvaluationSet> statistics_set(const Network& network,
                                              std::shared_ptr<const data::Dataset> train,
                                              Session& session);

}  // namespace basin
