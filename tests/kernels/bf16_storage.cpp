// Batch norm calls on bfloat16.
#include "kernels/base/bf16.h"

#include "kernels/batch_norm/call.h"
#include "tests/support/bf16_case.h"

using namespace basin;
using namespace basin::test;

#ifdef BASIN_TEST_ON_DEVICE
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
#endif
