// Fixup's elementwise step against its formula in double: every optional argument, all gradients,
// and the mask where the output cannot tell it.
#include "kernels/affine_relu/call.h"

#include "tests/support/bf16_case.h"
#include "tests/support/kernel_case.h"
#include "tests/support/op_gradient.h"

using namespace basin;
using namespace basin::test;

namespace {

const int64_t kSizes[] = {1, 3, 5, 16, 17, 64, 65, 100, 16384, 16385, 40000};

double at(const Guarded<float>& scalar, double absent) {
  return scalar.size() > 0 ? scalar[0] : absent;
}

// One scalar that is there or not.
Guarded<float> scalar(bool present, double value) {
  Guarded<float> buffer(present ? 1 : 0);
  if (present) buffer[0] = static_cast<float>(value);
  return buffer;
}

void check_forward(int64_t size, int options, Values values, Comparison& comparison) {
  const bool exact = values == Values::kIntegers;
  const bool relu = options & 1, with_residual = options & 2, with_mask = options & 4;
  const auto seed = static_cast<uint32_t>(size * 64 + options);
  Guarded<float> x = filled<float>(size, values, seed);
  Guarded<float> residual = filled<float>(with_residual ? size : 0, values, seed + 1);
  Guarded<float> scale = scalar(options & 8, exact ? 3 : 1.3);
  Guarded<float> bias = scalar(options & 16, exact ? -2 : -0.21);
  Guarded<float> residual_shift = scalar(with_residual && (options & 16), exact ? 1 : 0.37);
  Guarded<float> shift = scalar(options & 32, exact ? 2 : 0.11);
  Guarded<float> y(size);
  Guarded<uint8_t> mask(with_mask ? size : 0);
  run_call({&x, &residual, &scale, &bias, &residual_shift, &shift}, {&y, &mask},
           AffineReluForward<float>{.x = x,
                                    .residual = residual,
                                    .scale = scale,
                                    .bias = bias,
                                    .residual_shift = residual_shift,
                                    .shift = shift,
                                    .y = y,
                                    .mask = mask,
                                    .relu = relu,
                                    .size = size});
  int64_t wrong_masks = 0;
  for (int64_t i = 0; i < size; ++i) {
    const double scaled = at(scale, 1) * x[i], r = with_residual ? residual[i] : 0;
    const double z = scaled + at(bias, 0) + r - at(residual_shift, 0);
    const double before_relu =
        std::abs(scaled) + std::abs(at(bias, 0)) + std::abs(r) + std::abs(at(residual_shift, 0));
    const double want = (relu ? std::max(z, 0.0) : z) + at(shift, 0);
    comparison.value(y[i], want, before_relu + std::abs(at(shift, 0)));
    const bool near_zero = !exact && std::abs(z) < 8 * 0x1p-24 * before_relu;
    if (with_mask && !near_zero && mask[i] != (z > 0)) ++wrong_masks;
  }
  CHECK(wrong_masks == 0);
  comparison.check("forward, size " + std::to_string(size) + ", options " +
                   std::to_string(options));
}

// `options`: 1 relu, 2 dx, 4 dresidual, 8 dscale, 16 dbias and dshift, 32 dresidual_shift,
// 64 accumulate, 128 scale.
void check_backward(int64_t size, int options, Values values, Comparison& comparison) {
  const bool exact = values == Values::kIntegers, relu = options & 1, accumulate = options & 64;
  const auto seed = static_cast<uint32_t>(size * 256 + options);
  auto wanted = [&](int option, int64_t elements) { return (options & option) ? elements : 0; };
  Guarded<float> dy = filled<float>(size, values, seed);
  Guarded<float> x = filled<float>(wanted(8, size), values, seed + 1);
  Guarded<uint8_t> mask(relu ? size : 0);
  RandomStream random(seed, RandomPurpose::kNoise, 1);
  for (int64_t i = 0; i < mask.size(); ++i) mask[i] = static_cast<uint8_t>(random.below(2));
  Guarded<float> scale = scalar(options & 128, exact ? 3 : 1.3);
  auto out = [&](int option, int64_t elements, uint32_t number) {
    return output<float>(wanted(option, elements), accumulate, values, seed + number);
  };
  Guarded<float> dx = out(2, size, 2), dresidual = out(4, size, 3), dscale = out(8, 1, 4),
                 dbias = out(16, 1, 5), dresidual_shift = out(32, 1, 6), dshift = out(16, 1, 7);
  const Guarded<float> starts[] = {dx, dresidual, dscale, dbias, dresidual_shift, dshift};
  AffineReluBackward<float> call{.dy = dy,
                                 .x = x,
                                 .mask = mask,
                                 .scale = scale,
                                 .relu = relu,
                                 .dx = {dx, accumulate},
                                 .dresidual = {dresidual, accumulate},
                                 .dbias = {dbias, accumulate},
                                 .dresidual_shift = {dresidual_shift, accumulate},
                                 .dscale = {dscale, accumulate},
                                 .dshift = {dshift, accumulate},
                                 .size = size};
  Guarded<double> partials = partials_of(call);
  run_call({&dy, &x, &mask, &scale},
           {&dx, &dresidual, &dscale, &dbias, &dresidual_shift, &dshift, &partials}, call);
  double sum_dz = 0, sum_dzx = 0, sum_dy = 0, abs_dz = 0, abs_dzx = 0, abs_dy = 0;
  auto start = [&](int which, int64_t i) { return accumulate ? double(starts[which][i]) : 0.0; };
  for (int64_t i = 0; i < size; ++i) {
    const double dz = relu && !mask[i] ? 0 : dy[i], product = x.size() > 0 ? dz * x[i] : 0;
    if (dx.size() > 0) {
      const double add = at(scale, 1) * dz;
      comparison.value(dx[i], start(0, i) + add, std::abs(start(0, i)) + std::abs(add));
    }
    if (dresidual.size() > 0) {
      comparison.value(dresidual[i], start(1, i) + dz, std::abs(start(1, i)) + std::abs(dz));
    }
    sum_dz += dz;
    sum_dzx += product;
    sum_dy += dy[i];
    abs_dz += std::abs(dz);
    abs_dzx += std::abs(product);
    abs_dy += std::abs(dy[i]);
  }
  auto compare = [&](const Guarded<float>& got, int which, double sum, double magnitude) {
    if (got.size() == 0) return;
    comparison.value(got[0], start(which, 0) + sum, std::abs(start(which, 0)) + magnitude);
  };
  compare(dscale, 2, sum_dzx, abs_dzx);
  compare(dbias, 3, sum_dz, abs_dz);
  compare(dresidual_shift, 4, -sum_dz, abs_dz);
  compare(dshift, 5, sum_dy, abs_dy);
  comparison.check("backward, size " + std::to_string(size) + ", options " +
                   std::to_string(options));
}

const int kBackwardOptions[] = {2,   3,       4,   5,   8,   9,   16, 17, 32,     33,     2 + 4,
                                127, 128 + 3, 255, 254, 191, 190, 0,  1,  64 + 2, 64 + 8, 128 + 2};

}  // namespace

TEST_CASE("affine_relu forward is exact on small integers, for every optional argument") {
  Comparison comparison(true);
  for (int64_t size : kSizes) {
    if (too_large(size)) continue;
    for (int options = 0; options < 64; ++options) {
      if (size > 1000 && options % 7 != 0) continue;
      check_forward(size, options, Values::kIntegers, comparison);
    }
  }
}

TEST_CASE("affine_relu forward is within the tolerance on random numbers") {
  Comparison comparison(false);
  for (Values values : {Values::kNormal, Values::kPositive}) {
    for (int64_t size : kSizes) {
      if (too_large(size)) continue;
      for (int options : {0, 1, 63, 62, 45, 18, 24, 5}) {
        check_forward(size, options, values, comparison);
      }
    }
  }
  comparison.report("affine_relu forward");
}

TEST_CASE("affine_relu backward is exact on small integers, for every output and accumulation") {
  Comparison comparison(true);
  for (int64_t size : kSizes) {
    if (too_large(size)) continue;
    for (int options : kBackwardOptions) {
      check_backward(size, options, Values::kIntegers, comparison);
    }
  }
}

TEST_CASE("affine_relu backward is within the tolerance on random numbers") {
  Comparison comparison(false);
  for (Values values : {Values::kNormal, Values::kPositive}) {
    for (int64_t size : kSizes) {
      if (too_large(size)) continue;
      for (int options : {127, 255, 254, 190, 191, 62}) {
        check_backward(size, options, values, comparison);
      }
    }
  }
  comparison.report("affine_relu backward");
}

TEST_CASE("the mask is z > 0, also where the shift hides z by rounding") {
  constexpr int64_t kSize = 100;
  Guarded<float> x(kSize), y(kSize), shift(1), dx(kSize), dbias(1);
  Guarded<uint8_t> mask(kSize);
  shift[0] = 1;
  for (int64_t i = 0; i < kSize; ++i) {
    const float tiny = static_cast<float>(i / 3 + 1) * 0x1p-40f;
    x[i] = i % 3 == 0 ? tiny : (i % 3 == 1 ? -tiny : 0.0f);
  }
  device::run(AffineReluForward<float>{
      .x = x, .shift = shift, .y = y, .mask = mask, .relu = true, .size = kSize});
  Guarded<float> dy = filled<float>(kSize, Values::kIntegers, 5);
  Guarded<double> partials(3);
  device::run(AffineReluBackward<float>{.dy = dy,
                                        .mask = mask,
                                        .relu = true,
                                        .dx = {dx},
                                        .dbias = {dbias},
                                        .size = kSize,
                                        .partials = partials});
  double sum = 0;
  for (int64_t i = 0; i < kSize; ++i) {
    CHECK(y[i] == 1);  // y - shift says nothing
    CHECK(mask[i] == (i % 3 == 0));
    CHECK(dx[i] == (i % 3 == 0 ? dy[i] : 0));
    sum += i % 3 == 0 ? dy[i] : 0;
  }
  CHECK(dbias[0] == sum);
}

#ifdef BASIN_TEST_ON_DEVICE
TEST_CASE("affine_relu on bfloat16") {
  StorageComparison forward("forward"), gradients("gradients"), scalars("scalars");
  for (int64_t size : kStorageSizes) {
    if (too_large(size)) continue;
    Numbers x(size, 1), residual(size, 2), y(size), dy(size, 3), dx(size), dresidual(size, 4);
    Guarded<float> scale = scalar(1.25f), bias = scalar(-0.5f);
    Twice<uint8_t> masks(size);
    Twice<float> sums(4);
    in_both_types([&]<class T>(T) {
      auto& mask = of<T>(masks);
      run_call({&of<T>(x), &of<T>(residual), &scale, &bias}, {&of<T>(y), &mask},
               AffineReluForward<T>{.x = of<T>(x),
                                    .residual = of<T>(residual),
                                    .scale = scale,
                                    .bias = bias,
                                    .y = of<T>(y),
                                    .mask = mask,
                                    .relu = true,
                                    .size = size});
      float* const sum = of<T>(sums).data();
      AffineReluBackward<T> call{.dy = of<T>(dy),
                                 .x = of<T>(x),
                                 .mask = mask,
                                 .scale = scale,
                                 .relu = true,
                                 .dx = {of<T>(dx)},
                                 .dresidual = {of<T>(dresidual), true},
                                 .dbias = {sum},
                                 .dresidual_shift = {sum + 1},
                                 .dscale = {sum + 2},
                                 .dshift = {sum + 3},
                                 .size = size};
      Guarded<double> partials = partials_of(call);
      run_call({&of<T>(dy), &of<T>(x), &mask, &scale},
               {&of<T>(dx), &of<T>(dresidual), &of<T>(sums), &partials}, call);
    });
    CHECK(masks.half.bytes == masks.single.bytes);
    forward.results(y, 10);
    gradients.results(dx, 10);
    gradients.results(dresidual, 10);
    scalars.floats(sums, static_cast<double>(size));
  }
}

TEST_CASE("affine_relu on bfloat16: a shift has the bits of one that is added later") {
  for (int64_t size : kStorageSizes) {
    if (too_large(size)) continue;
    Guarded<Bf16> x = Numbers(size, 1).half, residual = Numbers(size, 2).half;
    Guarded<float> scale = scalar(1.25f), bias = scalar(-0.5f), shift = scalar(0.7f);
    Guarded<Bf16> shifted(size), plain(size), later(size);
    Guarded<uint8_t> mask(size), mask_of_plain(size);
    run_checked({&x, &residual, &scale, &bias, &shift},
                {&shifted, &plain, &later, &mask, &mask_of_plain}, [&] {
                  AffineReluForward<Bf16> call{.x = x,
                                               .residual = residual,
                                               .scale = scale,
                                               .bias = bias,
                                               .shift = shift,
                                               .y = shifted,
                                               .mask = mask,
                                               .relu = true,
                                               .size = size};
                  device::run(call);
                  call.shift = nullptr;
                  call.y = plain;
                  call.mask = mask_of_plain;
                  device::run(call);
                  device::run(AffineReluForward<Bf16>{
                      .x = plain, .bias = shift, .y = later, .relu = false, .size = size});
                });
    CHECK(shifted.bytes == later.bytes);
    CHECK(mask.bytes == mask_of_plain.bytes);
    int64_t different = 0;
    for (int64_t i = 0; i < size; ++i) different += shifted[i].bits != plain[i].bits;
    CHECK(different == size);
  }
}
#else
TEST_CASE("affine_relu in double keeps the precision of double") {
  constexpr int64_t kSize = 20000;
  Guarded<double> x = filled<double>(kSize, Values::kNormal, 1), y(kSize), bias(1);
  bias[0] = 1e-12;
  cpu::run(AffineReluForward<double>{.x = x, .bias = bias, .y = y, .relu = false, .size = kSize});
  int64_t wrong = 0;
  for (int64_t i = 0; i < kSize; ++i) wrong += y[i] != x[i] + 1e-12;
  CHECK(wrong == 0);
}

TEST_CASE("gradient of affine_relu, for every optional argument") {
  for (int options = 0; options < 64; ++options) {
    for (const Shape& shape : {Shape{2, 3, 1, 5}, Shape{1, 7}, Shape{1}}) {
      Inputs inputs;
      const Tensor x = inputs.add("x", shape);
      AffineRelu arguments;
      if (options & 1) arguments.scale = inputs.add("scale", {1});
      if (options & 2) arguments.bias = inputs.add("bias", {1});
      if (options & 4) arguments.residual = inputs.add("residual", shape);
      if (options & 8) arguments.residual_shift = inputs.add("residual_shift", {1});
      if (options & 16) arguments.shift = inputs.add("shift", {1});
      arguments.relu = false;
      inputs.allocate();
      AffineRelu unshifted = arguments;
      unshifted.shift = {};
      draw_away_from_zero(
          inputs, [&](Tape& tape) { return affine_relu(tape, x, unshifted); }, 0.03);
      arguments.relu = options & 32;
      inputs.check("affine_relu, options " + std::to_string(options) + ", " + shape.text(),
                   [&](Tape& tape) { return affine_relu(tape, x, arguments); });
    }
  }
}

TEST_CASE("gradient of affine_relu of one tensor in two places") {
  Inputs inputs;
  const Tensor x = inputs.add("x", {2, 3, 3, 2}), scalar = inputs.add("scalar", {1});
  inputs.allocate();
  const AffineRelu arguments{scalar, {}, x, scalar, scalar, false};
  inputs.check("x as residual, one scalar thrice",
               [&](Tape& tape) { return affine_relu(tape, x, arguments); });
}

TEST_CASE("affine_relu adds to the gradient of an input that is used twice") {
  Inputs inputs;
  const Tensor x = inputs.add("x", {2, 4, 4, 2});
  const Tensor scale = inputs.add("scale", {1}), bias = inputs.add("bias", {1});
  inputs.allocate();
  inputs.check_sum(
      "affine_relu twice",
      [&](Tape& tape) {
        return affine_relu(tape, x, {scale, bias, {}, {}, scale, false});
      },
      [&](Tape& tape) {
        return affine_relu(tape, x, {scale, bias, x, {}, scale, false});
      });
}
#endif

// Faults that tools/mutate_kernels plants in the kernel, one at a time: these cases must notice
// each.
// clang-format off
// cpu: kernels/library/reduce.h: half of a warp summed
//   - distance = 16; distance > 0
//   + distance = 8; distance > 0
// cpu: kernels/library/reduce.h: a wrong mask
//   - kAllLanes = 0xFFFFFFFFu
//   + kAllLanes = 0x7FFFFFFFu
// cpu: kernels/library/reduce.h: every second warp's sum not written
//   - if (threadIdx.x % 32 == 0) partials
//   + if (threadIdx.x % 64 == 0) partials
// cpu: kernels/library/reduce.h: a warp left out
//   - int warp = 1;
//   + int warp = 2;
// cpu: the mask the wrong way round
//   - call.relu && mask.values[k] == 0 ? 0
//   + call.relu && mask.values[k] == 1 ? 0
// cpu: a chunk that runs past the end
//   - begin + kChunk < call.size ? begin + kChunk : call.size
//   + begin + kChunk
// cpu: the first chunk left out
//   - int64_t chunk = threadIdx.x;
//   + int64_t chunk = threadIdx.x + 1;
// tsan: a sum written by all threads of a block
//   - if (threadIdx.x == 0) {
//   -     double* sums
//   + if (true) {
//   +     double* sums
// clang-format on
