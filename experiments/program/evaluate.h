// Evaluation of a network on a data set.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "data/batch_feed.h"
#include "engine/loss_accumulator.h"
#include "experiments/program/session.h"
#include "models/network.h"

namespace basin {

struct Evaluation {
  double loss = 0;  // mean cross entropy (or binary cross entropy) per image
  // Accuracy as a fraction; of multi-label sets the mean ROC-AUC over the labels that some images
  // have and some have not.
  double score = 0;
  double error = 0;  // 0-1 loss: share of images whose first class is wrong; of multi-label sets,
                     // share of pairs (image, label) on the wrong side of probability 1/2
  std::vector<int32_t> predictions;  // top-1 class per image; empty for multi-label sets
  // Of multi-label sets only: the outputs [images, labels], whose sigmoid is the probability of a
  // label, and each label's ROC-AUC, NaN where all images or none have it.
  std::vector<float> logits;
  std::vector<double> label_auc;
};

// The two losses an experiment may be about.
enum class LossKind { kError, kCrossEntropy };
// "error" or "cross-entropy"; throws Error for anything else.
LossKind parse_loss(const std::string& name);
double loss_of(const Evaluation& evaluation, LossKind kind);

// Consecutive images of a set, normalised [N,H,W,3], with targets [N,classes].
struct EvaluationBatch {
  Tensor images, targets;
  Tensor labels;                   // i32 [N]; empty for multi-label sets
  std::vector<uint8_t> positives;  // of multi-label sets: which targets are above 1/2
};

// What a network's outputs on the batches of a set add up to. It is added up in device memory: the
// host waits only where it asks for numbers.
class EvaluationSum {
 public:
  EvaluationSum(const data::Dataset& dataset, Stream& stream);
  void add(Tape& tape, const Tensor& logits, const EvaluationBatch& batch);
  // Sum over the images so far; the mean is an Evaluation's.
  double sum_of(LossKind kind);
  // Over the images so far, at least one.
  Evaluation result();
  // Memory it takes in the end, on host and device, but for its own size.
  static int64_t bytes(const data::Dataset& dataset);

 private:
  void read();

  Stream* stream_;
  bool multi_label_;
  int64_t classes_, size_;
  LossAccumulator sums_;
  // Of each image its prediction, or its logits; the host has read those of the first read_ images.
  // Null until something is added.
  std::shared_ptr<Storage> rows_;
  int64_t added_ = 0, read_ = 0;
  int64_t images_ = 0, correct_ = 0, wrong_labels_ = 0;
  double loss_sum_ = 0;
  std::vector<int32_t> predictions_;
  std::vector<std::vector<float>> scores_;  // by label
  std::vector<std::vector<uint8_t>> positives_;
};

// A data set prepared for many evaluations: its bytes stay on the device where they fit, and images
// in files are decoded once then. The batches are made for each evaluation.
class EvaluationSet {
 public:
  // `options`: batch size and shuffles count; order, augmentation and mixup are off.
  EvaluationSet(std::shared_ptr<const data::Dataset> dataset, data::LoaderOptions options,
                Session& session);

  int64_t size() const { return dataset_->size(); }
  bool multi_label() const { return dataset_->multi_label(); }
  const data::Dataset& dataset() const { return *dataset_; }
  // Evaluation mode, no gradient. Throws Interrupted between batches.
  Evaluation evaluate(Network& network);
  // The batches in order, until `visit` returns false. Throws Interrupted between batches.
  void for_each_batch(const std::function<bool(const EvaluationBatch&)>& visit);

 private:
  std::shared_ptr<const data::Dataset> dataset_;
  Session& session_;
  data::BatchFeed feed_;
};

// Name of the score in files and messages: "accuracy" or "auc".
const char* score_name(bool multi_label);

}  // namespace basin
