// The losses against their formulas in double, at their limits, and the most probable class.
#include "kernels/loss/call.h"

#include <algorithm>

#include "kernels/base/check.h"
#include "tests/support/bf16_case.h"
#include "tests/support/kernel_case.h"
#include "tests/support/op_gradient.h"

using namespace basin;
using namespace basin::test;

namespace {

struct Rows {
  int64_t rows, classes;
  int64_t size() const { return rows * classes; }
  std::string text() const { return concat(rows, " rows of ", classes); }
};
const Rows kShapes[] = {{1, 1},  {1, 3},  {5, 2},   {7, 16},  {3, 17},
                        {2, 64}, {4, 65}, {33, 10}, {3, 100}, {17, 1001}};

// log(sum exp(x)) of a row, by the largest of its exponents.
double log_sum_exp(const float* x, int64_t classes) {
  double largest = x[0], sum = 0;
  for (int64_t k = 1; k < classes; ++k) largest = std::max(largest, double(x[k]));
  for (int64_t k = 0; k < classes; ++k) sum += std::exp(x[k] - largest);
  return largest + std::log(sum);
}

void check_softmax(const Rows& s, Values values, Comparison& loss_values, Comparison& gradients) {
  const int64_t size = s.size();
  Guarded<float> logits = filled<float>(size, values, 1);
  Guarded<float> targets = filled<float>(size, Values::kPositive, 2);
  if (values == Values::kNormal) {  // a label each, mixed with a second one
    std::fill_n(targets.data(), size, 0.0f);
    for (int64_t row = 0; row < s.rows; ++row) {
      targets[row * s.classes + row % s.classes] += 0.75f;
      targets[row * s.classes + (3 * row + 1) % s.classes] += 0.25f;
    }
  }
  Guarded<float> loss(1), loss_alone(1), dlogits(size);
  Guarded<double> partials(s.rows);
  Guarded<int32_t> predictions(s.rows);
  run_checked({&logits, &targets}, {&loss, &loss_alone, &dlogits, &partials, &predictions}, [&] {
    SoftmaxCrossEntropy<float> call{.logits = logits,
                                    .targets = targets,
                                    .loss = loss,
                                    .dlogits = dlogits,
                                    .rows = s.rows,
                                    .classes = s.classes,
                                    .partials = partials,
                                    .predictions = predictions};
    device::run(call);
    call.loss = loss_alone;
    call.dlogits = nullptr;
    call.predictions = nullptr;
    device::run(call);
  });
  CHECK(loss[0] == loss_alone[0]);
  for (int64_t row = 0; row < s.rows; ++row) {
    const float* x = &logits[row * s.classes];
    CHECK(predictions[row] == std::max_element(x, x + s.classes) - x);
  }
  double total = 0, magnitude = 0;
  for (int64_t row = 0; row < s.rows; ++row) {
    const float* x = &logits[row * s.classes];
    const double log_sum = log_sum_exp(x, s.classes);
    double mass = 0;
    for (int64_t k = 0; k < s.classes; ++k) mass += targets[row * s.classes + k];
    for (int64_t k = 0; k < s.classes; ++k) {
      const double target = targets[row * s.classes + k], softmax = std::exp(x[k] - log_sum);
      total -= target * (x[k] - log_sum);
      magnitude += target * std::abs(x[k] - log_sum);
      gradients.value(dlogits[row * s.classes + k], (softmax * mass - target) / double(s.rows),
                      (softmax * mass + target) / double(s.rows));
    }
  }
  loss_values.value(loss[0], total / double(s.rows), magnitude / double(s.rows));
  loss_values.check("softmax loss, " + s.text());
  gradients.check("softmax gradient, " + s.text());
}

void check_sigmoid(const Rows& s, Values values, Comparison& loss_values, Comparison& gradients) {
  const int64_t size = s.size();
  Guarded<float> logits = filled<float>(size, values, 3), targets(size);
  for (int64_t i = 0; i < size; ++i) targets[i] = static_cast<float>(i % 3) / 2;
  Guarded<float> loss(1), loss_alone(1), dlogits(size);
  run_checked({&logits, &targets}, {&loss, &loss_alone, &dlogits}, [&] {
    device::run(SigmoidCrossEntropy<float>{logits, targets, loss, dlogits, s.rows, s.classes});
    device::run(
        SigmoidCrossEntropy<float>{logits, targets, loss_alone, nullptr, s.rows, s.classes});
  });
  CHECK(loss[0] == loss_alone[0]);
  double total = 0;
  for (int64_t i = 0; i < size; ++i) {
    const double x = logits[i], t = targets[i], sigmoid = 1 / (1 + std::exp(-x));
    total -= t * std::log(sigmoid) + (1 - t) * std::log(1 - sigmoid);
    gradients.value(dlogits[i], (sigmoid - t) / double(size), (sigmoid + t) / double(size));
  }
  loss_values.value(loss[0], total / double(size), total / double(size));
  loss_values.check("sigmoid loss, " + s.text());
  gradients.check("sigmoid gradient, " + s.text());
}

}  // namespace

TEST_CASE("the losses and their gradients are within the tolerance") {
  for (const auto& [name, check] :
       {std::pair("softmax", &check_softmax), std::pair("sigmoid", &check_sigmoid)}) {
    Comparison loss_values(false), gradients(false);
    for (const Rows& shape : kShapes) {
      if (too_large(shape.size())) continue;
      for (Values values : {Values::kIntegers, Values::kNormal, Values::kPositive}) {
        check(shape, values, loss_values, gradients);
      }
    }
    loss_values.report(concat(name, " loss"));
    gradients.report(concat(name, " gradient"));
  }
}

TEST_CASE("the losses at their limits: large logits, equal logits, labels without mass") {
  float loss = -1;
  double row_loss;
  const float far[] = {10000, -10000, 0};
  const float hit[] = {1, 0, 0}, miss[] = {0, 1, 0}, nothing[] = {0, 0, 0};
  float gradient[3];
  device::run(SoftmaxCrossEntropy<float>{far, hit, &loss, gradient, 1, 3, &row_loss});
  CHECK(loss == 0);
  for (float g : gradient) CHECK(g == 0);
  device::run(SoftmaxCrossEntropy<float>{far, miss, &loss, gradient, 1, 3, &row_loss});
  CHECK(loss == 20000);
  CHECK(gradient[0] == 1);
  CHECK(gradient[1] == -1);
  CHECK(gradient[2] == 0);
  device::run(SoftmaxCrossEntropy<float>{far, nothing, &loss, gradient, 1, 3, &row_loss});
  CHECK(loss == 0);
  for (float g : gradient) CHECK(g == 0);
  // A class that is impossible costs nothing where nobody asks for it.
  const float impossible[] = {0, -std::numeric_limits<float>::infinity(), 0};
  device::run(SoftmaxCrossEntropy<float>{impossible, hit, &loss, gradient, 1, 3, &row_loss});
  CHECK(loss == static_cast<float>(std::log(2.0)));
  CHECK(gradient[1] == 0);

  const float equal[] = {7, 7, 7};
  device::run(SoftmaxCrossEntropy<float>{equal, hit, &loss, nullptr, 1, 3, &row_loss});
  CHECK(loss == static_cast<float>(std::log(3.0)));

  const float big[] = {1000, -1000, 0}, labels[] = {0, 1, 1};
  device::run(SigmoidCrossEntropy<float>{big, labels, &loss, gradient, 1, 3});
  CHECK(loss == static_cast<float>((2000 + std::log(2.0)) / 3));
  CHECK(gradient[0] == static_cast<float>(1.0 / 3));
  CHECK(gradient[1] == static_cast<float>(-1.0 / 3));
  CHECK(gradient[2] == static_cast<float>(-0.5 / 3));
}

TEST_CASE("the most probable class is the first of equals") {
  Guarded<float> logits(15);
  const float values[] = {1, 2, 3, 2, 3, -5, -1, -1, -2, -9, 0, 0, 0, 0, 0};
  std::copy(values, values + 15, logits.data());
  Guarded<float> targets(15), loss(1);
  std::fill_n(targets.data(), 15, 0.0f);
  Guarded<double> partials(3);
  Guarded<int32_t> predictions(3);
  run_call({&logits, &targets}, {&loss, &partials, &predictions},
           SoftmaxCrossEntropy<float>{logits, targets, loss, nullptr, 3, 5, partials, predictions});
  CHECK(predictions[0] == 2);
  CHECK(predictions[1] == 1);
  CHECK(predictions[2] == 0);
}

TEST_CASE("batches added up: losses in order, hits, and the first diverged batch") {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  struct Batch {
    float loss;
    int64_t rows;
  };
  // More rows than a block has threads, and fewer; no order of these losses but their own has their
  // sum's bits.
  const Batch batches[] = {{0.1f, 700}, {1e-7f, 1}, {3e5f, 37}, {1.3f, 256}, {-1e-3f, 257}};
  for (const bool counted : {true, false}) {
    Guarded<LossSums> sums(1);
    sums[0] = {0.7, 5, 11, 3, 0, 0};
    LossSums want = sums[0];
    for (const Batch& batch : batches) {
      Guarded<float> loss = scalar(batch.loss);
      Guarded<int32_t> predictions(counted ? batch.rows : 0), expected(predictions.size());
      for (int64_t row = 0; row < predictions.size(); ++row) {
        predictions[row] = static_cast<int32_t>(row % 7);
        expected[row] = static_cast<int32_t>(row % 3);
        want.correct += row % 7 == row % 3;
      }
      run_call({&loss, &predictions, &expected}, {&sums},
               AddLoss{loss, predictions, expected, sums, 1e6, batch.rows});
      want.loss += double(batch.loss) * double(batch.rows);
      want.images += batch.rows;
      ++want.batches;
      CHECK(sums[0].loss == want.loss);
      CHECK(sums[0].correct == want.correct);
      CHECK(sums[0].images == want.images);
      CHECK(sums[0].batches == want.batches);
      CHECK(sums[0].diverged_batch == 0);
    }
  }
  for (const float bad : {nan, -2e6f, std::numeric_limits<float>::infinity()}) {
    CAPTURE(bad);
    Guarded<LossSums> sums(1);
    sums[0] = {};
    for (const float value : {1e6f, bad, 1.0f, 3e6f}) {
      Guarded<float> loss = scalar(value);
      run_call({&loss}, {&sums}, AddLoss{loss, nullptr, nullptr, sums, 1e6, 4});
    }
    CHECK(sums[0].batches == 4);
    CHECK(sums[0].diverged_batch == 2);
    CHECK((sums[0].diverged_loss == bad || (bad != bad && sums[0].diverged_loss != bad)));
  }
}

#ifdef BASIN_TEST_ON_DEVICE
TEST_CASE("the losses of bfloat16") {
  StorageComparison gradients("gradients"), losses("losses");
  for (const Rows& s : {Rows{1, 1}, Rows{9, 17}, Rows{3, 100}}) {
    const int64_t size = s.size();
    Numbers logits(size, 1), softmax(size), sigmoid(size);
    Guarded<float> targets = filled<float>(size, Values::kPositive, 2);
    Twice<int32_t> predictions(s.rows);
    Twice<float> loss(2);
    Guarded<double> partials(s.rows);
    in_both_types([&]<class T>(T) {
      run_checked({&of<T>(logits), &targets},
                  {&of<T>(softmax), &of<T>(sigmoid), &of<T>(predictions), &of<T>(loss), &partials},
                  [&] {
                    device::run(SoftmaxCrossEntropy<T>{.logits = of<T>(logits),
                                                       .targets = targets,
                                                       .loss = of<T>(loss),
                                                       .dlogits = of<T>(softmax),
                                                       .rows = s.rows,
                                                       .classes = s.classes,
                                                       .partials = partials,
                                                       .predictions = of<T>(predictions)});
                    device::run(SigmoidCrossEntropy<T>{.logits = of<T>(logits),
                                                       .targets = targets,
                                                       .loss = of<T>(loss).data() + 1,
                                                       .dlogits = of<T>(sigmoid),
                                                       .rows = s.rows,
                                                       .classes = s.classes});
                  });
    });
    gradients.results(softmax, 1);
    gradients.results(sigmoid, 1);
    losses.floats(loss, 10);
    CHECK(predictions.half.bytes == predictions.single.bytes);
  }
}
#else
TEST_CASE("gradients of the losses, also of logits that are used twice") {
  for (const Shape& shape : {Shape{1, 2}, Shape{3, 5}, Shape{2, 17}, Shape{2, 2}}) {
    Inputs inputs;
    const Tensor logits = inputs.add("logits", shape);
    const Tensor targets = inputs.add_buffer("targets", shape);
    inputs.allocate();
    for (int64_t i = 0; i < targets.size(); ++i) {
      targets.data<double>()[i] = std::abs(targets.data<double>()[i]) / 3;
    }
    const auto softmax = [&](Tape& tape) { return softmax_cross_entropy(tape, logits, targets); };
    const auto sigmoid = [&](Tape& tape) { return sigmoid_cross_entropy(tape, logits, targets); };
    inputs.check("softmax_cross_entropy " + shape.text(), softmax);
    inputs.check_twice("softmax_cross_entropy " + shape.text(), softmax);
    inputs.check("sigmoid_cross_entropy " + shape.text(), sigmoid);
    inputs.check_twice("sigmoid_cross_entropy " + shape.text(), sigmoid);
  }
}
#endif

// Faults that tools/mutate_kernels plants in the kernel, one at a time: these cases must notice
// each.
// clang-format off
// cpu: of equals the last
//   - k < most.index
//   + k > most.index
// cpu: half of a warp asked for its maximum
//   - distance = 16; distance > 0
//   + distance = 8; distance > 0
// cpu: a sum in bfloat16
//   - sum += call.partials[row];
//   + sum = to_float(to_bf16(static_cast<float>(sum + call.partials[row])));
// cpu: only the hits of the first rows
//   - row < call.rows; row += kThreads) {
//   -       correct
//   + row < kThreads; row += kThreads) {
//   +       correct
// cpu: a loss that is no number taken for a small one
//   - !(fabs(loss) <= call.limit)
//   + fabs(loss) > call.limit
// cpu: the last bad batch named instead of the first
//   - sums.diverged_batch == 0 && 
// tsan: a result written by two blocks
//   - launch(softmax_loss<T>, 1,
//   + launch(softmax_loss<T>, 2,
// tsan: a result written by all lanes of a warp
//   -   if (lane == 0) {
//   -     call.partials[row] = loss;
//   +   {
//   +     call.partials[row] = loss;
// clang-format on
