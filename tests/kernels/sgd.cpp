// The step of SGD against its rule in double, by the tables of chunks.
#include "kernels/sgd/call.h"

#include "tests/support/kernel_case.h"

using namespace basin;
using namespace basin::test;

namespace {

void check_step(Values values, const SgdControl& control, Comparison& comparison) {
  // Three parameters with padding between them; the second is larger than a chunk and cut in two.
  constexpr int64_t kSize = 24576;
  const SgdChunk chunks[] = {{0, 100, 1}, {128, 16384, 0.5}, {16512, 3000, 0.5}, {19520, 1, 2}};
  Guarded<SgdChunk> table(4);
  std::copy(chunks, chunks + 4, table.data());
  Guarded<SgdControl> setting(1);
  setting[0] = control;
  Guarded<float> value = filled<float>(kSize, values, 1),
                 gradient = filled<float>(kSize, values, 2),
                 momentum = filled<float>(kSize, values, 3);
  const Guarded<float> value_before = value, momentum_before = momentum;
  Guarded<float> value_alone = value, momentum_alone = momentum;
  Guarded<Bf16> copy(kSize);
  const Bf16 untouched = copy[0];
  run_checked({&gradient, &table, &setting},
              {&value, &momentum, &value_alone, &momentum_alone, &copy}, [&] {
                SgdStep<float> call{value,  gradient, momentum, table, 4, 100 + 16384 + 3000 + 1,
                                    setting};
                call.copy = copy;
                device::run(call);
                call.value = value_alone;
                call.momentum = momentum_alone;
                call.copy = nullptr;
                device::run(call);
              });
  CHECK(value.bytes == value_alone.bytes);
  CHECK(momentum.bytes == momentum_alone.bytes);
  std::vector<bool> inside(kSize, false);
  for (const SgdChunk& chunk : chunks) {
    for (int64_t i = chunk.offset; i < chunk.offset + chunk.size; ++i) {
      inside[static_cast<size_t>(i)] = true;
      const double decay = control.weight_decay * value_before[i];
      const double kept = control.momentum * momentum_before[i];
      const double step = kept + gradient[i] + decay;
      const double rate = control.learning_rate * chunk.learning_rate_factor;
      const double terms = std::abs(kept) + std::abs(gradient[i]) + std::abs(decay);
      comparison.value(momentum[i], step, terms);
      comparison.value(value[i], value_before[i] - rate * step,
                       std::abs(value_before[i]) + rate * terms);
    }
  }
  int64_t touched = 0, wrong_copies = 0;
  for (int64_t i = 0; i < kSize; ++i) {
    const Bf16 want = inside[static_cast<size_t>(i)] ? to_bf16(value[i]) : untouched;
    wrong_copies += copy[i].bits != want.bits;
    if (inside[static_cast<size_t>(i)]) continue;
    touched += value[i] != value_before[i] || momentum[i] != momentum_before[i];
  }
  CHECK_MESSAGE(wrong_copies == 0, wrong_copies, " elements of the copy are wrong");
  CHECK_MESSAGE(touched == 0, touched, " elements between the chunks changed");
  comparison.check("sgd");
}

}  // namespace

TEST_CASE("an SGD step is exact on small integers and leaves what lies between chunks alone") {
  Comparison comparison(true);
  check_step(Values::kIntegers, {0.5, 0.25, 0.125}, comparison);
  check_step(Values::kIntegers, {1, 0, 0}, comparison);
}

TEST_CASE("an SGD step is within the tolerance on random numbers") {
  Comparison comparison(false);
  for (Values values : {Values::kNormal, Values::kPositive}) {
    check_step(values, {0.1, 0.9, 1e-4}, comparison);
  }
  comparison.report("sgd");
}

#ifndef BASIN_TEST_ON_DEVICE  // float only
TEST_CASE("two SGD steps by hand") {
  // value 1, gradient 2, decay 0.5, momentum 0.5, rate 0.25 (factor 0.5 of 0.5):
  // step 1: m = 2 + 0.5 = 2.5, value = 1 - 0.625 = 0.375
  // step 2: m = 1.25 + 2 + 0.1875 = 3.4375, value = 0.375 - 0.859375 = -0.484375
  double value = 1, momentum = 0;
  const double gradient = 2;
  const SgdChunk chunk{0, 1, 0.5};
  const SgdControl control{0.5, 0.5, 0.5};
  const SgdStep<double> call{&value, &gradient, &momentum, &chunk, 1, 1, &control};
  cpu::run(call);
  CHECK(momentum == 2.5);
  CHECK(value == 0.375);
  cpu::run(call);
  CHECK(momentum == 3.4375);
  CHECK(value == -0.484375);
}
#endif

// Faults that tools/mutate_kernels plants in the kernel, one at a time: these cases must notice
// each.
// clang-format off
// cpu: a tail taken for a whole vector
//   - chunk.size - i < kCount ? chunk.size - i : kCount
//   + kCount
// cpu: a step in bfloat16
//   - value[k] -= rate * momentum[k];
//   + value[k] -= rate * to_float(to_bf16(momentum[k]));
// cpu: a copy at another place
//   - store(call.copy + first
//   + store(call.copy + i
// clang-format on
