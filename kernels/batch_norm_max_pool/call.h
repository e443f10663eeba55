// The calls of a stem: batch normalisation, ReLU and 3x3 max pooling with stride 2 in one, so that
// the large tensor between them is never written. Statistics come from BatchNormStatistics.
#pragma once

#include "kernels/batch_norm/call.h"
#include "kernels/pool/call.h"

namespace basin {

// y[n,p,q,c] = max over the 3x3 window at (2p-1, 2q-1) of relu((x - mean)*inverse_std*weight +
// bias), of values rounded to T: what BatchNormForward and MaxPoolForward make one after the other.
// `index` holds the window position 0..8 of the first maximum, or kNowhere where y is 0 and no
// gradient passes the ReLU.
template <class T>
struct BatchNormMaxPoolForward {
  static constexpr const char* kName = "batch_norm_max_pool_forward";
  static constexpr uint8_t kNowhere = 9;
  const T* x;  // [batch, height, width, channels]
  const ParameterType<T>*mean, *inverse_std, *weight, *bias;
  T* y;
  uint8_t* index;  // null: not wanted
  int64_t batch, height, width, channels;
  constexpr int64_t out_height() const { return pooled_side(height); }
  constexpr int64_t out_width() const { return pooled_side(width); }
  double flops() const {
    return 9.0 * 4.0 * static_cast<double>(batch * out_height() * out_width() * channels);
  }
  double bytes() const {
    return static_cast<double>(batch * channels) *
           (static_cast<double>(height * width * int64_t{sizeof(T)}) +
            static_cast<double>(out_height() * out_width()) * (sizeof(T) + (index ? 1.0 : 0.0)));
  }
};

// Gradients of BatchNormMaxPoolForward with batch statistics; dx, dweight and dbias as those of
// BatchNormBackward. dz of a pixel is the sum of dy over the windows whose `index` points to it.
template <class T>
struct BatchNormMaxPoolBackward {
  static constexpr const char* kName = "batch_norm_max_pool_backward";
  const T *x, *dy;
  const uint8_t* index;
  const ParameterType<T>*mean, *inverse_std, *weight;
  T* dx;  // null: not wanted
  ParameterType<T>*dweight, *dbias;
  bool accumulate_dx, accumulate_dweight, accumulate_dbias;
  double* partials;  // partials_size() elements
  int64_t batch, height, width, channels;
  constexpr int64_t out_height() const { return pooled_side(height); }
  constexpr int64_t out_width() const { return pooled_side(width); }
  // The batch norm inside, whose dz is not in memory.
  BatchNormBackward<T> normalisation() const {
    return {x,
            nullptr,
            nullptr,
            mean,
            inverse_std,
            weight,
            false,
            dx,
            nullptr,
            dweight,
            dbias,
            accumulate_dx,
            false,
            accumulate_dweight,
            accumulate_dbias,
            partials,
            batch * height * width,
            channels};
  }
  int64_t partials_size() const { return normalisation().partials_size(); }
  double flops() const { return 10.0 * static_cast<double>(batch * height * width * channels); }
  double bytes() const {
    return static_cast<double>(batch * channels) *
           (static_cast<double>(height * width * int64_t{sizeof(T)}) *
                (2 + (dx ? (accumulate_dx ? 2 : 1) : 0)) +
            2 * static_cast<double>(out_height() * out_width()) * (sizeof(T) + 1.0));
  }
};

}  // namespace basin
