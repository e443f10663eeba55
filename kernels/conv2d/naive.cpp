// Convolution in double, by its definition: nested loops. Gradient checks run on it, and tests
// compare with it.
#include "kernels/base/parallel.h"
#include "kernels/conv2d/call.h"
#include "kernels/device/declarations.h"

namespace basin {
namespace cpu {
namespace {

void compute(const Conv2dForward<double>& call) {
  const Conv2dShape& s = call.shape;
  const int64_t oh = s.out_height(), ow = s.out_width();
  parallel_for(s.batch * oh, [&](int64_t row) {
    const int64_t n = row / oh, p = row % oh;
    for (int64_t q = 0; q < ow; ++q) {
      for (int64_t k = 0; k < s.out_channels; ++k) {
        double sum = 0;
        for (int64_t r = 0; r < s.kernel_height; ++r) {
          const int64_t h = p * s.stride - s.padding + r;
          if (h < 0 || h >= s.height) continue;
          for (int64_t t = 0; t < s.kernel_width; ++t) {
            const int64_t w = q * s.stride - s.padding + t;
            if (w < 0 || w >= s.width) continue;
            const double* x = call.x + ((n * s.height + h) * s.width + w) * s.in_channels;
            const double* f =
                call.w + ((k * s.kernel_height + r) * s.kernel_width + t) * s.in_channels;
            for (int64_t c = 0; c < s.in_channels; ++c) sum += x[c] * f[c];
          }
        }
        const int64_t place = (row * ow + q) * s.out_channels + k;
        if (call.bias) {
          sum += call.bias[k];
          if (call.residual) sum += call.residual[place];
          if (call.relu && !(sum > 0)) sum = 0;
        }
        call.y[place] = sum;
      }
    }
  });
}

void compute(const Conv2dBackwardData<double>& call) {
  const Conv2dShape& s = call.shape;
  const int64_t oh = s.out_height(), ow = s.out_width();
  parallel_for(s.batch * s.height, [&](int64_t row) {
    const int64_t n = row / s.height, h = row % s.height;
    for (int64_t w = 0; w < s.width; ++w) {
      for (int64_t c = 0; c < s.in_channels; ++c) {
        double sum = 0;
        for (int64_t r = 0; r < s.kernel_height; ++r) {
          const int64_t hp = h + s.padding - r;
          if (hp < 0 || hp % s.stride != 0 || hp / s.stride >= oh) continue;
          for (int64_t t = 0; t < s.kernel_width; ++t) {
            const int64_t wp = w + s.padding - t;
            if (wp < 0 || wp % s.stride != 0 || wp / s.stride >= ow) continue;
            const double* dy =
                call.dy + ((n * oh + hp / s.stride) * ow + wp / s.stride) * s.out_channels;
            const double* f = call.w + (r * s.kernel_width + t) * s.in_channels + c;
            const int64_t step = s.kernel_height * s.kernel_width * s.in_channels;
            for (int64_t k = 0; k < s.out_channels; ++k) sum += dy[k] * f[k * step];
          }
        }
        double& out = call.dx.to[(row * s.width + w) * s.in_channels + c];
        out = call.dx.accumulate ? out + sum : sum;
      }
    }
  });
}

void compute(const Conv2dBackwardWeights<double>& call) {
  const Conv2dShape& s = call.shape;
  const int64_t oh = s.out_height(), ow = s.out_width();
  parallel_for(s.out_channels * s.kernel_height * s.kernel_width, [&](int64_t tap) {
    const int64_t k = tap / (s.kernel_height * s.kernel_width);
    const int64_t r = tap / s.kernel_width % s.kernel_height, t = tap % s.kernel_width;
    for (int64_t c = 0; c < s.in_channels; ++c) {
      double sum = 0;
      for (int64_t n = 0; n < s.batch; ++n) {
        for (int64_t p = 0; p < oh; ++p) {
          const int64_t h = p * s.stride - s.padding + r;
          if (h < 0 || h >= s.height) continue;
          for (int64_t q = 0; q < ow; ++q) {
            const int64_t w = q * s.stride - s.padding + t;
            if (w < 0 || w >= s.width) continue;
            sum += call.x[((n * s.height + h) * s.width + w) * s.in_channels + c] *
                   call.dy[((n * oh + p) * ow + q) * s.out_channels + k];
          }
        }
      }
      double& out = call.dw.to[tap * s.in_channels + c];
      out = call.dw.accumulate ? out + sum : sum;
    }
  });
}

}  // namespace

BASIN_CPU_RUN(Conv2dForward<double>)
BASIN_CPU_RUN(Conv2dBackwardData<double>)
BASIN_CPU_RUN(Conv2dBackwardWeights<double>)

}  // namespace cpu

template <>
int64_t Conv2dForward<double>::workspace_bytes() const {
  return 0;
}
template <>
int64_t Conv2dBackwardData<double>::workspace_bytes() const {
  return 0;
}
template <>
int64_t Conv2dBackwardWeights<double>::workspace_bytes() const {
  return 0;
}

}  // namespace basin
