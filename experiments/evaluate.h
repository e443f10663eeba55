// Evaluation of a network on a data set.
#pragma once

#include <memory>
#include <vector>

#include "data/loader.h"
#include "experiments/session.h"
#include "models/network.h"

namespace basin {

struct Evaluation {
  double loss = 0;   // mean cross entropy (or binary cross entropy) per image
  double score = 0;  // accuracy as a fraction; of multi-label sets the mean ROC-AUC over labels
  std::vector<int32_t> predictions;  // top-1 class per image; empty for multi-label sets
  // Of multi-label sets only: the outputs [images, labels], whose sigmoid is the probability of a
  // label, and each label's ROC-AUC, NaN where all images or none have it.
  std::vector<float> logits;
  std::vector<double> label_auc;
};

// A data set prepared for many evaluations: its normalised batches are kept in memory when they fit
// in 2 GiB, else they are made anew for each evaluation.
class EvaluationSet {
 public:
  // `options`: batch size, workers and shuffles count; order, augmentation and mixup are off.
  EvaluationSet(std::shared_ptr<const data::Dataset> dataset, data::LoaderOptions options,
                Session& session);

  int64_t size() const { return dataset_->size(); }
  bool multi_label() const { return dataset_->multi_label(); }
  // Evaluation mode, no gradient. Throws Interrupted between batches.
  Evaluation evaluate(Network& network);

 private:
  struct KeptBatch {
    Tensor images, targets;
    std::vector<int32_t> labels;
  };
  template <class Visit>
  void for_each_batch(const Visit& visit);

  std::shared_ptr<const data::Dataset> dataset_;
  Session& session_;
  std::unique_ptr<data::Loader> loader_;  // null once all batches are kept
  std::vector<KeptBatch> kept_;
};

// Name of the score in files and messages: "accuracy" or "auc".
const char* score_name(bool multi_label);

}  // namespace basin
