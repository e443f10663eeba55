// The calls of a stem: batch normalisation, ReLU and 3x3 max pooling with stride 2 in one, so that
// the large tensor between them is never written. Statistics come from BatchNormStatistics.
#pragma once

#include <vector>

#include "kernels/batch_norm/call.h"
#include "kernels/device/description.h"
#include "kernels/pool/call.h"

namespace basin {

// y[n,p,q,c] = max over the 3x3 window at (2p-1, 2q-1) of relu(z), z the normalised x rounded to T:
// what BatchNormForward and MaxPoolForward make one after the other. `index` holds the window
// position 0..8 of the first maximum, or kNowhere where y is 0 and no gradient passes the ReLU.
template <class T>
struct BatchNormMaxPoolForward {
  static constexpr const char* kName = "batch_norm_max_pool_forward";
  static constexpr uint8_t kNowhere = 9;
  BatchNormInput<T> input;  // x [batch, height, width, channels]
  T* y = nullptr;
  uint8_t* index = nullptr;  // null: not wanted
  int64_t batch, height, width, channels;
  constexpr int64_t out_height() const { return pooled_side(height); }
  constexpr int64_t out_width() const { return pooled_side(width); }
  double flops() const { return 9 * 4 * count(batch, out_height(), out_width(), channels); }
  double bytes() const {
    return count(sizeof(T), batch, height, width, channels) +
           count(sizeof(T) + (index ? 1 : 0), batch, out_height(), out_width(), channels);
  }
  // For the roofline: the calls it fuses, without their pointers.
  std::vector<CallDescription> unfused() const {
    BatchNormForward<T> norm{};
    norm.relu = true, norm.rows = batch * height * width, norm.channels = channels;
    MaxPoolForward<T> pool{};
    pool.index = index;
    pool.batch = batch, pool.height = height, pool.width = width, pool.channels = channels;
    return {describe_call(norm), describe_call(pool)};
  }
};

// Gradients of BatchNormMaxPoolForward with batch statistics; dx, dweight and dbias as those of
// BatchNormBackward. dz of a pixel is the sum of dy over the windows whose `index` points to it.
template <class T>
struct BatchNormMaxPoolBackward {
  static constexpr const char* kName = "batch_norm_max_pool_backward";
  BatchNormInput<T> input;
  const T* dy;
  const uint8_t* index;
  Gradient<T> dx;
  Gradient<ParameterType<T>> dweight, dbias;
  double* partials = nullptr;  // at least partials_size() elements
  int64_t batch, height, width, channels;
  constexpr int64_t out_height() const { return pooled_side(height); }
  constexpr int64_t out_width() const { return pooled_side(width); }
  // The batch norm inside, whose dy is not in memory.
  BatchNormBackward<T> normalisation() const {
    return {.input = input,
            .dx = dx,
            .dweight = dweight,
            .dbias = dbias,
            .partials = partials,
            .rows = batch * height * width,
            .channels = channels};
  }
  int64_t partials_size() const { return normalisation().partials_size(); }
  double flops() const { return 10 * count(batch, height, width, channels); }
  double bytes() const {  // x, dy and the index twice
    return count(2 + dx.passes(), sizeof(T), batch, height, width, channels) +
           count(2, sizeof(T) + 1, batch, out_height(), out_width(), channels);
  }
  std::vector<CallDescription> unfused() const {
    BatchNormBackward<T> norm = normalisation();
    norm.relu = true;
    MaxPoolBackward<T> pool{};
    pool.dx.to = dx.to;
    pool.batch = batch, pool.height = height, pool.width = width, pool.channels = channels;
    return {describe_call(pool), describe_call(norm)};
  }
};

}  // namespace basin
