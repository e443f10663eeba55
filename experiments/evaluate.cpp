// Forward passes over a data set, and what is counted.
#include "experiments/evaluate.h"

#include <algorithm>
#include <cstring>

#include "experiments/metrics.h"

namespace basin {

const char* score_name(bool multi_label) {
  return multi_label ? "auc" : "accuracy";
}

EvaluationSet::EvaluationSet(std::shared_ptr<const data::Dataset> dataset,
                             data::LoaderOptions options, Session& session)
    : dataset_(std::move(dataset)), session_(session) {
  options.shuffle = options.augment = options.drop_last = false;
  options.mixup_alpha = 0;
  options.batch_size = std::min(options.batch_size, dataset_->size());
  const bool keep = dataset_->size() * dataset_->image_bytes() * 4 <= int64_t{2} << 30;
  loader_ = std::make_unique<data::Loader>(dataset_, options);
  if (!keep) return;
  loader_->start_epoch(0);
  const int64_t classes = dataset_->classes();
  while (const data::Batch* batch = loader_->next()) {
    check_interruption();
    auto copy = [](const float* from, Shape shape) {
      Tensor tensor(allocate_state(shape.elements() * 4), shape, DType::kF32);
      std::memcpy(tensor.data<float>(), from, static_cast<size_t>(shape.elements()) * 4);
      return tensor;
    };
    kept_.push_back({copy(batch->images, {batch->size, dataset_->height(), dataset_->width(), 3}),
                     copy(batch->targets, {batch->size, classes}), batch->labels});
  }
  loader_.reset();
}

template <class Visit>
void EvaluationSet::for_each_batch(const Visit& visit) {
  if (!loader_) {
    for (const KeptBatch& batch : kept_) visit(batch);
    return;
  }
  loader_->start_epoch(0);
  while (const data::Batch* batch = loader_->next()) {
    auto stage = [&](const float* from, Shape shape) {
      Tensor tensor(session_.arena.allocate(shape.elements() * 4), shape, DType::kF32);
      std::memcpy(tensor.data<float>(), from, static_cast<size_t>(shape.elements()) * 4);
      return tensor;
    };
    visit(KeptBatch{stage(batch->images, {batch->size, dataset_->height(), dataset_->width(), 3}),
                    stage(batch->targets, {batch->size, dataset_->classes()}), batch->labels});
  }
}

Evaluation EvaluationSet::evaluate(Network& network) {
  Evaluation result;
  const int64_t classes = dataset_->classes();
  int64_t correct = 0;
  double loss_sum = 0;
  std::vector<uint8_t> positives;  // [images, labels]
  for_each_batch([&](const KeptBatch& batch) {
    check_interruption();
    Tape tape(session_.stream, session_.arena, false);
    const Tensor logits = network.forward(tape, batch.images, Mode::kEvaluate);
    const Tensor loss = multi_label() ? sigmoid_cross_entropy(tape, logits, batch.targets)
                                      : softmax_cross_entropy(tape, logits, batch.targets);
    const int64_t rows = batch.images.shape()[0];
    loss_sum += static_cast<double>(loss.data<float>()[0]) * static_cast<double>(rows);
    if (multi_label()) {
      for (int64_t i = 0; i < rows * classes; ++i) {
        result.logits.push_back(logits.data<float>()[i]);
        positives.push_back(batch.targets.data<float>()[i] > 0.5f);
      }
    } else {
      const Tensor predictions = arg_max(tape, logits);
      for (int64_t row = 0; row < rows; ++row) {
        const int32_t prediction = predictions.data<int32_t>()[row];
        result.predictions.push_back(prediction);
        correct += prediction == batch.labels[static_cast<size_t>(row)];
      }
    }
  });
  const auto images = static_cast<double>(size());
  result.loss = loss_sum / images;
  result.score = static_cast<double>(correct) / images;
  if (multi_label()) {
    result.score = 0;
    for (int64_t label = 0; label < classes; ++label) {
      std::vector<float> label_scores;
      std::vector<uint8_t> label_positives;
      for (auto i = static_cast<size_t>(label); i < positives.size();
           i += static_cast<size_t>(classes)) {
        label_scores.push_back(result.logits[i]);
        label_positives.push_back(positives[i]);
      }
      result.label_auc.push_back(roc_auc(label_scores, label_positives));
      result.score += result.label_auc.back() / static_cast<double>(classes);
    }
  }
  return result;
}

}  // namespace basin
