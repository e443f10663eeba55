// The call that makes the weights of an evaluation from two sets of parameters: a point on the line
// between them, noise, and what follows a convolution folded into it.
#pragma once

#include <cmath>
#include <cstdint>

#include "kernels/base/bf16.h"
#include "kernels/base/random.h"

namespace basin {

// A row of a weight tensor: the filter of one output channel (or a whole tensor that nothing is
// folded into). Numbers are places in the flat arrays of MakeWeights; -1: none.
struct WeightRow {
  int64_t offset, size;              // in the parameters, and in `weights`
  int64_t scale;                     // parameter: a factor, as Fixup's
  int64_t norm_weight, norm_bias;    // parameters of the batch norm that follows
  int64_t norm_mean, norm_variance;  // its running statistics, in the buffers
  int64_t bias;                      // in `biases`: what the folded row adds
};

// Every value is p = (1-t)*a + t*b, as Lerp has it, plus, for parameters in [noise_begin,
// noise_end), sigma * N(0, 1), as AddNoise has it. For each row:
//   factor = scale, or norm_weight / sqrt(norm_variance + epsilon), or 1
//   weights[offset + i] = factor * p[offset + i], rounded to T
//   biases[bias] = norm_bias - norm_mean * factor, rounded to T
// Rows must not overlap. A folded convolution is the convolution followed by batch norm with
// running statistics: Jacob et al., "Quantization and training of neural networks" (CVPR 2018),
// section 3.2.
template <class T>
struct MakeWeights {
  static constexpr const char* kName = "make_weights";
  const float *a, *b;                  // parameters; may be the same
  const float *buffers_a, *buffers_b;  // running statistics; null where no row has them
  double t;
  double sigma;
  uint64_t seed;
  uint32_t draw;
  int64_t noise_begin, noise_end;
  double epsilon;
  const WeightRow* rows;
  int64_t row_count;
  int64_t size;  // elements in all rows
  T* weights;
  T* biases;  // null where no row has one
  double flops() const { return 4.0 * static_cast<double>(size); }
  double bytes() const {
    return ((a == b ? 4.0 : 8.0) + sizeof(T)) * static_cast<double>(size) +
           static_cast<double>(sizeof(WeightRow)) * static_cast<double>(row_count);
  }
};

// A point of the line, end points exact.
BASIN_HOST_DEVICE inline float on_line(float a, float b, double t) {
  if (t == 1) return b;
  return t == 0 || a == b ? a : a + static_cast<float>(t) * (b - a);
}

// The parameter at `place`, `value` on the line, with its noise.
template <class T>
BASIN_HOST_DEVICE float with_noise(const MakeWeights<T>& call, int64_t place, float value) {
  if (place < call.noise_begin || place >= call.noise_end) return value;
  RandomStream random(call.seed, RandomPurpose::kNoise, call.draw, static_cast<uint32_t>(place));
  return static_cast<float>(value + call.sigma * random.normal());
}

template <class T>
BASIN_HOST_DEVICE float parameter_of(const MakeWeights<T>& call, int64_t place) {
  return with_noise(call, place, on_line(call.a[place], call.b[place], call.t));
}

template <class T>
BASIN_HOST_DEVICE float buffer_of(const MakeWeights<T>& call, int64_t place) {
  return on_line(call.buffers_a[place], call.buffers_b[place], call.t);
}

// The factor of a row.
template <class T>
BASIN_HOST_DEVICE float factor_of(const MakeWeights<T>& call, const WeightRow& row) {
  if (row.scale >= 0) return parameter_of(call, row.scale);
  if (row.norm_weight < 0) return 1;
  const double variance = buffer_of(call, row.norm_variance);
  return static_cast<float>(parameter_of(call, row.norm_weight) /
                            std::sqrt(variance + call.epsilon));
}

// What a folded row adds.
template <class T>
BASIN_HOST_DEVICE T bias_of(const MakeWeights<T>& call, const WeightRow& row, float factor) {
  const float mean = buffer_of(call, row.norm_mean);
  const double bias = double(parameter_of(call, row.norm_bias)) - double(mean) * factor;
  return from_float<T>(static_cast<float>(bias));
}

}  // namespace basin
