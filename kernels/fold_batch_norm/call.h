// The call that folds batch norm with running statistics into the convolution before it: Jacob et
// al., "Quantization and training of neural networks" (CVPR 2018), section 3.2.
#pragma once

#include <cmath>
#include <cstdint>

#include "kernels/base/bf16.h"
#include "kernels/base/host_device.h"

namespace basin {

// The filter of one output channel, and the batch norm of that channel. All numbers but `size` are
// places in the arrays of FoldBatchNorm.
struct NormalisedFilter {
  int64_t offset, size;              // in the parameters and in `weights`
  int64_t norm_weight, norm_bias;    // in the parameters
  int64_t norm_mean, norm_variance;  // in the buffers
  int64_t bias;                      // in `biases`
};

// For each filter:
//   factor = norm_weight / sqrt(norm_variance + epsilon)
//   weights[offset + i] = factor * parameters[offset + i], rounded to T
//   biases[bias] = norm_bias - norm_mean * factor, rounded to T
// Filters must not overlap. Other elements of `weights` and `biases` are left as they are.
template <class T>
struct FoldBatchNorm {
  static constexpr const char* kName = "fold_batch_norm";
  const float *parameters, *buffers;
  double epsilon;
  const NormalisedFilter* filters;
  int64_t filter_count;
  int64_t size;  // elements of all filters
  T *weights, *biases;
  double flops() const { return 4.0 * static_cast<double>(size); }
  double bytes() const {
    return (4.0 + sizeof(T)) * static_cast<double>(size) +
           static_cast<double>(sizeof(NormalisedFilter)) * static_cast<double>(filter_count);
  }

  BASIN_HOST_DEVICE float factor(const NormalisedFilter& filter) const {
    const double variance = buffers[filter.norm_variance];
    return static_cast<float>(parameters[filter.norm_weight] / std::sqrt(variance + epsilon));
  }
  BASIN_HOST_DEVICE T bias(const NormalisedFilter& filter, float factor) const {
    const double mean = buffers[filter.norm_mean];
    return from_float<T>(static_cast<float>(parameters[filter.norm_bias] - mean * factor));
  }
};

}  // namespace basin
