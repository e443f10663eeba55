// Forward passes over a data set, and what is counted.
#include "experiments/program/evaluate.h"

#include <algorithm>

#include "experiments/program/metrics.h"

namespace basin {
namespace {

data::LoaderOptions evaluation_options(data::LoaderOptions options, const data::Dataset& dataset) {
  options.shuffle = options.augment = false;
  options.mixup_alpha = 0;
  options.batch_size = std::min(options.batch_size, dataset.size());
  return options;
}

}  // namespace

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

EvaluationSum::EvaluationSum(const data::Dataset& dataset, Stream& stream)
    : stream_(&stream),
      multi_label_(dataset.multi_label()),
      classes_(dataset.classes()),
      size_(dataset.size()),
      sums_(stream),
      scores_(multi_label_ ? static_cast<size_t>(classes_) : 0),
      positives_(scores_.size()) {}

int64_t EvaluationSum::bytes(const data::Dataset& dataset) {
  return dataset.size() * (dataset.multi_label() ? 9 * dataset.classes() : 8);
}

void EvaluationSum::add(Tape& tape, const Tensor& logits, const EvaluationBatch& batch) {
  const int64_t rows = batch.images.shape()[0];
  if (!rows_) rows_ = allocate_state(size_ * (multi_label_ ? classes_ : 1) * 4, *stream_);
  Tensor predictions;
  const Tensor loss = multi_label_
                          ? sigmoid_cross_entropy(tape, logits, batch.targets)
                          : softmax_cross_entropy(tape, logits, batch.targets, &predictions);
  sums_.add(loss, predictions, batch.labels, rows);
  if (multi_label_) {
    stream_->copy(static_cast<float*>(rows_->data()) + added_ * classes_, logits.data<float>(),
                  logits.size() * 4);
    for (size_t i = 0; i < batch.positives.size(); ++i) {
      positives_[i % positives_.size()].push_back(batch.positives[i]);
    }
  } else {
    stream_->copy(static_cast<int32_t*>(rows_->data()) + added_, predictions.data<int32_t>(),
                  rows * 4);
  }
  added_ += rows;
}

void EvaluationSum::read() {
  if (read_ == added_) return;
  const LossSums sums = sums_.read();
  loss_sum_ = sums.loss;
  images_ = sums.images;
  correct_ = sums.correct;
  const int64_t fresh = added_ - read_;
  if (multi_label_) {
    std::vector<float> logits(static_cast<size_t>(fresh * classes_));
    stream_->copy_to_host(logits.data(),
                          static_cast<const float*>(rows_->data()) + read_ * classes_,
                          fresh * classes_ * 4);
    for (size_t i = 0; i < logits.size(); ++i) {
      std::vector<float>& scores = scores_[i % scores_.size()];
      const bool positive = positives_[i % scores_.size()][scores.size()] != 0;
      wrong_labels_ += (logits[i] >= 0) != positive;
      scores.push_back(logits[i]);
    }
  } else {
    predictions_.resize(static_cast<size_t>(added_));
    stream_->copy_to_host(predictions_.data() + read_,
                          static_cast<const int32_t*>(rows_->data()) + read_, fresh * 4);
  }
  read_ = added_;
}

double EvaluationSum::sum_of(LossKind kind) {
  read();
  if (kind == LossKind::kCrossEntropy) return loss_sum_;
  if (!multi_label_) return static_cast<double>(images_ - correct_);
  return static_cast<double>(wrong_labels_) / static_cast<double>(classes_);
}

Evaluation EvaluationSum::result() {
  read();
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
    : dataset_(std::move(dataset)),
      session_(session),
      feed_(dataset_, evaluation_options(options, *dataset_), session.stream, session.resident,
            activation_dtype(session.precision)) {}

void EvaluationSet::for_each_batch(const std::function<bool(const EvaluationBatch&)>& visit) {
  feed_.start_epoch(0);
  while (const data::BatchTensors* batch = feed_.next()) {
    check_interruption();
    EvaluationBatch staged{batch->images, batch->targets, batch->labels, {}};
    if (multi_label()) {
      std::vector<float> row(static_cast<size_t>(dataset_->classes()));
      for (const int64_t index : feed_.drawn().indices) {
        dataset_->target(index, row.data());
        for (const float target : row) staged.positives.push_back(target > 0.5f);
      }
    }
    if (!visit(staged)) return;
  }
}

Evaluation EvaluationSet::evaluate(Network& network) {
  EvaluationSum sum(*dataset_, session_.stream);
  for_each_batch([&](const EvaluationBatch& batch) {
    Tape tape(session_.stream, session_.arena, false);
    sum.add(tape, network.forward(tape, batch.images, Mode::kEvaluate), batch);
    return true;
  });
  return sum.result();
}

}  // namespace basin
