// Elementwise, affine, pooling, loss and batch norm calls on bfloat16.
#include "kernels/base/bf16.h"

#include "kernels/affine_relu/call.h"
#include "kernels/batch_norm/call.h"
#include "kernels/elementwise/call.h"
#include "kernels/loss/call.h"
#include "kernels/pool/call.h"
#include "tests/support/bf16_case.h"

using namespace basin;
using namespace basin::test;

TEST_CASE("elementwise calls on bfloat16") {
  StorageComparison filled_values("fill"), sums("add"), scaled("scale"), biased("add_bias");
  for (int64_t size : kStorageSizes) {
    if (too_large(size)) continue;
    Numbers a(size, 1), b(size, 2), y(size), added(size), accumulated(size, 3), with_bias(size);
    Numbers factor(1, 4), bias(size, 5);
    in_both_types([&]<class T>(T) {
      run_checked(
          {&of<T>(a), &of<T>(b), &of<T>(factor), &of<T>(bias)},
          {&of<T>(y), &of<T>(added), &of<T>(accumulated), &of<T>(with_bias)}, [&] {
            device::run(Fill<T>{of<T>(y).data(), from_float<T>(2.5f), size});
            device::run(Add<T>{of<T>(a).data(), of<T>(b).data(), of<T>(added).data(), size});
            device::run(Scale<T>{
                of<T>(a).data(), of<T>(factor).data(), {of<T>(accumulated).data(), true}, size});
            device::run(
                AddBias<T>{of<T>(a).data(), of<T>(bias).data(), of<T>(with_bias).data(), 1, size});
          });
    });
    filled_values.results(y, 1);
    sums.results(added, 10);
    scaled.results(accumulated, 20);
    biased.results(with_bias, 10);
  }
}

TEST_CASE("column sums of bfloat16") {
  StorageComparison comparison("column_sum");
  for (int64_t columns : {1, 33, 100}) {
    Numbers x(20 * columns, 1);
    Guarded<float> half(columns), single(columns);
    in_both_types([&]<class T>(T) {
      Guarded<float>& y = std::is_same_v<T, Bf16> ? half : single;
      run_checked({&of<T>(x)}, {&y}, [&] {
        device::run(ColumnSum<T>{of<T>(x).data(), {y.data()}, 20, columns});
      });
    });
    comparison.floats(half, single, 20);
  }
}

TEST_CASE("affine_relu on bfloat16") {
  StorageComparison forward("forward"), gradients("gradients"), scalars("scalars");
  for (int64_t size : kStorageSizes) {
    if (too_large(size)) continue;
    Numbers x(size, 1), residual(size, 2), y(size), dy(size, 3), dx(size), dresidual(size, 4);
    Guarded<float> scale = scalar(1.25f), bias = scalar(-0.5f);
    Guarded<uint8_t> mask_half(size), mask_single(size);
    Guarded<float> sums_half(4), sums_single(4);
    in_both_types([&]<class T>(T) {
      const bool is_half = std::is_same_v<T, Bf16>;
      Guarded<uint8_t>& mask = is_half ? mask_half : mask_single;
      Guarded<float>& sums = is_half ? sums_half : sums_single;
      run_checked({&of<T>(x), &of<T>(residual), &scale, &bias}, {&of<T>(y), &mask}, [&] {
        device::run(AffineReluForward<T>{of<T>(x).data(), of<T>(residual).data(), scale.data(),
                                         bias.data(), nullptr, nullptr, of<T>(y).data(),
                                         mask.data(), true, size});
      });
      AffineReluBackward<T> call{.dy = of<T>(dy).data(),
                                 .x = of<T>(x).data(),
                                 .mask = mask.data(),
                                 .scale = scale.data(),
                                 .relu = true,
                                 .dx = {of<T>(dx).data()},
                                 .dresidual = {of<T>(dresidual).data(), true},
                                 .dbias = {sums.data() + 1},
                                 .dresidual_shift = {sums.data() + 2},
                                 .dscale = {sums.data()},
                                 .dshift = {sums.data() + 3},
                                 .size = size};
      Guarded<double> partials = partials_of(call);
      run_call({&of<T>(dy), &of<T>(x), &mask, &scale},
               {&of<T>(dx), &of<T>(dresidual), &sums, &partials}, call);
    });
    CHECK(mask_half.bytes == mask_single.bytes);
    forward.results(y, 10);
    gradients.results(dx, 10);
    gradients.results(dresidual, 10);
    scalars.floats(sums_half, sums_single, static_cast<double>(size));
  }
}

TEST_CASE("affine_relu on bfloat16: a shift has the bits of one that is added later") {
  for (int64_t size : kStorageSizes) {
    if (too_large(size)) continue;
    Numbers x(size, 1), residual(size, 2);
    Guarded<float> scale = scalar(1.25f), bias = scalar(-0.5f), shift = scalar(0.7f);
    Guarded<Bf16> shifted(size), plain(size), later(size);
    Guarded<uint8_t> mask(size), mask_of_plain(size);
    run_checked(
        {&x.half, &residual.half, &scale, &bias, &shift},
        {&shifted, &plain, &later, &mask, &mask_of_plain}, [&] {
          AffineReluForward<Bf16> call{
              x.half.data(), residual.half.data(), scale.data(), bias.data(), nullptr,
              shift.data(),  shifted.data(),       mask.data(),  true,        size};
          device::run(call);
          call.shift = nullptr;
          call.y = plain.data();
          call.mask = mask_of_plain.data();
          device::run(call);
          device::run(AffineReluForward<Bf16>{plain.data(), nullptr, nullptr, shift.data(), nullptr,
                                              nullptr, later.data(), nullptr, false, size});
        });
    CHECK(shifted.bytes == later.bytes);
    CHECK(mask.bytes == mask_of_plain.bytes);
    int64_t different = 0;
    for (int64_t i = 0; i < size; ++i) different += shifted[i].bits != plain[i].bits;
    CHECK(different == size);
  }
}

TEST_CASE("pooling of bfloat16") {
  StorageComparison maxima("max"), averages("average");
  for (int64_t channels : {1, 8, 13, 64}) {
    constexpr int64_t kSide = 5, kOut = 3;
    const int64_t size = kSide * kSide * channels, out_size = kOut * kOut * channels;
    Numbers x(size, 1), y(out_size), dy(out_size, 2), dx(size, 3), mean(channels),
        dmean(channels, 4), spread(size);
    Guarded<uint8_t> index_half(out_size), index_single(out_size);
    in_both_types([&]<class T>(T) {
      Guarded<uint8_t>& index = std::is_same_v<T, Bf16> ? index_half : index_single;
      run_checked({&of<T>(x), &of<T>(dy), &of<T>(dmean)},
                  {&of<T>(y), &index, &of<T>(dx), &of<T>(mean), &of<T>(spread)}, [&] {
                    device::run(MaxPoolForward<T>{of<T>(x).data(), of<T>(y).data(), index.data(), 1,
                                                  kSide, kSide, channels});
                    device::run(MaxPoolBackward<T>{of<T>(dy).data(),
                                                   index.data(),
                                                   {of<T>(dx).data(), true},
                                                   1,
                                                   kSide,
                                                   kSide,
                                                   channels});
                    device::run(AveragePoolForward<T>{of<T>(x).data(), of<T>(mean).data(), 1,
                                                      kSide * kSide, channels});
                    device::run(AveragePoolBackward<T>{
                        of<T>(dmean).data(), {of<T>(spread).data()}, 1, kSide * kSide, channels});
                  });
    });
    CHECK(index_half.bytes == index_single.bytes);
    maxima.results(y, 0);
    maxima.results(dx, 10);
    averages.results(mean, 1);
    averages.results(spread, 1);
  }
}

TEST_CASE("the losses of bfloat16") {
  StorageComparison gradients("gradients"), losses("losses");
  const int64_t shapes[][2] = {{1, 1}, {9, 17}, {3, 100}};
  for (const auto& [rows, classes] : shapes) {
    const int64_t size = rows * classes;
    Numbers logits(size, 1), softmax(size), sigmoid(size);
    Guarded<float> targets = filled<float>(size, Values::kPositive, 2);
    Guarded<int32_t> predictions_half(rows), predictions_single(rows);
    Guarded<float> losses_half(2), losses_single(2);
    Guarded<double> partials(rows);
    in_both_types([&]<class T>(T) {
      const bool is_half = std::is_same_v<T, Bf16>;
      Guarded<int32_t>& predictions = is_half ? predictions_half : predictions_single;
      Guarded<float>& loss = is_half ? losses_half : losses_single;
      run_checked({&of<T>(logits), &targets},
                  {&of<T>(softmax), &of<T>(sigmoid), &predictions, &loss, &partials}, [&] {
                    device::run(SoftmaxCrossEntropy<T>{
                        of<T>(logits).data(), targets.data(), loss.data(), of<T>(softmax).data(),
                        rows, classes, partials.data(), predictions.data()});
                    device::run(SigmoidCrossEntropy<T>{of<T>(logits).data(), targets.data(),
                                                       loss.data() + 1, of<T>(sigmoid).data(), rows,
                                                       classes});
                  });
    });
    gradients.results(softmax, 1);
    gradients.results(sigmoid, 1);
    losses.floats(losses_half, losses_single, 10);
    CHECK(predictions_half.bytes == predictions_single.bytes);
  }
}

TEST_CASE("batch norm on bfloat16") {
  StorageComparison statistics("statistics"), forward("forward"), gradients("gradients"),
      sums("sums");
  const int64_t shapes[][2] = {{1, 1}, {40, 17}, {33, 64}, {700, 65}, {1000, 8}};
  for (const auto& [rows, channels] : shapes) {
    const int64_t size = rows * channels;
    if (too_large(size)) continue;
    Numbers x(size, 1), residual(size, 2), y(size), dy(size, 3), dx(size), dresidual(size, 4);
    Guarded<float> weight = filled<float>(channels, Values::kPositive, 5),
                   bias = filled<float>(channels, Values::kNormal, 6);
    Guarded<float> mean_half(channels), mean_single(channels), std_half(channels),
        std_single(channels), sums_half(2 * channels), sums_single(2 * channels);
    in_both_types([&]<class T>(T) {
      const bool is_half = std::is_same_v<T, Bf16>;
      Guarded<float>& mean = is_half ? mean_half : mean_single;
      Guarded<float>& inverse_std = is_half ? std_half : std_single;
      Guarded<float>& sum = is_half ? sums_half : sums_single;
      BatchNormStatistics<T> moments{};
      BatchNormBackward<T> backward{};
      moments.rows = backward.rows = rows;
      moments.channels = backward.channels = channels;
      Guarded<double> partials(moments.partials_size()), more(backward.partials_size());
      run_checked({&of<T>(x)}, {&mean, &inverse_std, &partials}, [&] {
        device::run(BatchNormStatistics<T>{of<T>(x).data(), mean.data(), inverse_std.data(),
                                           nullptr, nullptr, 1e-3, 0.1, partials.data(), rows,
                                           channels});
      });
      if (is_half) {  // after float
        statistics.floats(mean_half, mean_single, 1);
        statistics.floats(std_half, std_single, 40);
        // From here on both types get the same.
        std::copy_n(mean_single.data(), channels, mean_half.data());
        std::copy_n(std_single.data(), channels, std_half.data());
      }
      run_checked(
          {&of<T>(x), &of<T>(residual), &mean, &inverse_std, &weight, &bias}, {&of<T>(y)}, [&] {
            device::run(BatchNormForward<T>{of<T>(x).data(), of<T>(residual).data(), mean.data(),
                                            inverse_std.data(), weight.data(), bias.data(),
                                            of<T>(y).data(), true, rows, channels});
          });
      run_checked({&of<T>(x), &of<T>(y), &of<T>(dy), &mean, &inverse_std, &weight},
                  {&of<T>(dx), &of<T>(dresidual), &sum, &more}, [&] {
                    backward = {of<T>(x).data(),
                                of<T>(y).data(),
                                of<T>(dy).data(),
                                mean.data(),
                                inverse_std.data(),
                                weight.data(),
                                true,
                                of<T>(dx).data(),
                                of<T>(dresidual).data(),
                                sum.data(),
                                sum.data() + channels,
                                false,
                                true,
                                false,
                                false,
                                more.data(),
                                rows,
                                channels};
                    device::run(backward);
                  });
    });
    forward.results(y, 20);
    // One row has no deviation, and a large factor for what then cancels.
    gradients.results(dx, rows == 1 ? 300 : 20);
    gradients.results(dresidual, 10);
    sums.floats(sums_half, sums_single, 10 * static_cast<double>(rows));
  }
}
