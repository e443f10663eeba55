// Forward passes over a data set, and what is counted.
#include "experiments/evaluate.h"

#include <algorithm>

#include "engine/transfer.h"
#include "experiments/metrics.h"

namespace basin {

const char* score_name(bool multi_label) {
  return multi_label ? "auc" : "accuracy";
}

LossKind parse_loss(const std::string& name) {
  if (name == "error") return LossKind::kError;
  BASIN_CHECK(name == "cross-entropy", "--loss must be error or cross-entropy, got ", name);
  return LossKind::kCrossEntropy;
}

double loss_of(const Evaluation& evaluation, LossKind kind) {
  return kind == LossKind::kError ? evaluation.error : evaluation.loss;
}

EvaluationSum::EvaluationSum(const data::Dataset& dataset)
    : multi_label_(dataset.multi_label()),
      classes_(dataset.classes()),
      scores_(multi_label_ ? static_cast<size_t>(classes_) : 0),
      positives_(scores_.size()) {}

int64_t EvaluationSum::bytes(const data::Dataset& dataset) {
  return dataset.size() * (dataset.multi_label() ? 5 * dataset.classes() : 4);
}

void EvaluationSum::add(Tape& tape, const Tensor& logits, const EvaluationBatch& batch) {
  const Tensor loss = multi_label_ ? sigmoid_cross_entropy(tape, logits, batch.targets)
                                   : softmax_cross_entropy(tape, logits, batch.targets);
  const int64_t rows = batch.images.shape()[0];
  loss_sum_ +=
      static_cast<double>(download<float>(loss, tape.stream())[0]) * static_cast<double>(rows);
  images_ += rows;
  if (multi_label_) {
    const std::vector<float> values = download<float>(logits, tape.stream());
    for (size_t i = 0; i < values.size(); ++i) {
      const auto label = i % static_cast<size_t>(classes_);
      const float logit = values[i];
      const bool positive = batch.positives[i] != 0;
      scores_[label].push_back(logit);
      positives_[label].push_back(positive);
      wrong_labels_ += (logit >= 0) != positive;
    }
    return;
  }
  const std::vector<int32_t> predictions = download<int32_t>(arg_max(tape, logits), tape.stream());
  for (size_t row = 0; row < predictions.size(); ++row) {
    predictions_.push_back(predictions[row]);
    correct_ += predictions[row] == batch.labels[row];
  }
}

double EvaluationSum::sum_of(LossKind kind) const {
  if (kind == LossKind::kCrossEntropy) return loss_sum_;
  if (!multi_label_) return static_cast<double>(images_ - correct_);
  return static_cast<double>(wrong_labels_) / static_cast<double>(classes_);
}

Evaluation EvaluationSum::result() const {
  const auto images = static_cast<double>(images_);
  Evaluation result;
  result.loss = loss_sum_ / images;
  result.error = sum_of(LossKind::kError) / images;
  result.score = static_cast<double>(correct_) / images;
  result.predictions = predictions_;
  if (multi_label_) {
    double sum = 0;
    int64_t defined = 0;
    for (size_t label = 0; label < scores_.size(); ++label) {
      const double auc = roc_auc(scores_[label], positives_[label]);
      result.label_auc.push_back(auc);
      const auto count = std::count(positives_[label].begin(), positives_[label].end(), 1);
      if (count == 0 || count == images_) continue;
      sum += auc;
      ++defined;
    }
    result.score = sum / static_cast<double>(defined);
    for (size_t image = 0; image < scores_[0].size(); ++image) {
      for (const std::vector<float>& of_label : scores_) result.logits.push_back(of_label[image]);
    }
  }
  return result;
}

EvaluationSet::EvaluationSet(std::shared_ptr<const data::Dataset> dataset,
                             data::LoaderOptions options, Session& session)
    : dataset_(std::move(dataset)), session_(session) {
  options.shuffle = options.augment = options.drop_last = false;
  options.mixup_alpha = 0;
  options.batch_size = std::min(options.batch_size, dataset_->size());
  const bool keep = dataset_->size() * dataset_->image_bytes() * 4 <= int64_t{2} << 30;
  loader_ = std::make_unique<data::Loader>(dataset_, options);
  if (!keep) {
    memory_ = std::make_unique<BatchMemory>(*dataset_, options.batch_size, session.stream);
    return;
  }
  loader_->start_epoch(0);
  while (const data::Batch* batch = loader_->next()) {
    check_interruption();
    kept_.push_back(stage(*batch, BatchMemory(*dataset_, batch->size, session.stream)));
  }
  loader_.reset();
}

EvaluationBatch EvaluationSet::stage(const data::Batch& batch, const BatchMemory& memory) {
  const BatchTensors tensors = memory.fill(batch);
  EvaluationBatch staged{tensors.images, tensors.targets, batch.labels, {}};
  if (multi_label()) {
    for (int64_t i = 0; i < batch.size * dataset_->classes(); ++i) {
      staged.positives.push_back(batch.targets[i] > 0.5f);
    }
  }
  return staged;
}

void EvaluationSet::for_each_batch(const std::function<bool(const EvaluationBatch&)>& visit) {
  if (!loader_) {
    for (const EvaluationBatch& batch : kept_) {
      check_interruption();
      if (!visit(batch)) return;
    }
    return;
  }
  loader_->start_epoch(0);
  while (const data::Batch* batch = loader_->next()) {
    check_interruption();
    if (!visit(stage(*batch, *memory_))) return;
  }
}

Evaluation EvaluationSet::evaluate(Network& network) {
  EvaluationSum sum(*dataset_);
  for_each_batch([&](const EvaluationBatch& batch) {
    Tape tape(session_.stream, session_.arena, false);
    sum.add(tape, network.forward(tape, batch.images, Mode::kEvaluate), batch);
    return true;
  });
  return sum.result();
}

}  // namespace basin
