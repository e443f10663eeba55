// The stem's batch normalisation, ReLU and max pooling on the CPU: its definition by the calls it
// is made of, through tensors of its own.
#include "kernels/batch_norm_max_pool.h"

#include <cstddef>
#include <vector>

#include "kernels/pool.h"

namespace basin::cpu {

template <class T>
void run(const BatchNormMaxPoolForward<T>& call) {
  const int64_t rows = call.batch * call.height * call.width;
  std::vector<T> normalised(static_cast<size_t>(rows * call.channels));
  run(BatchNormForward<T>{call.x, nullptr, call.mean, call.inverse_std, call.weight, call.bias,
                          normalised.data(), true, rows, call.channels});
  run(MaxPoolForward<T>{normalised.data(), call.y, call.index, call.batch, call.height, call.width,
                        call.channels});
  if (!call.index) return;
  const int64_t size = call.batch * call.out_height() * call.out_width() * call.channels;
  for (int64_t i = 0; i < size; ++i) {
    if (!(call.y[i] > 0)) call.index[i] = call.kNowhere;
  }
}

template <class T>
void run(const BatchNormMaxPoolBackward<T>& call) {
  BatchNormBackward<T> normalisation = call.normalisation();
  std::vector<T> dz(static_cast<size_t>(normalisation.rows * call.channels));
  run(MaxPoolBackward<T>{call.dy, call.index, dz.data(), false, call.batch, call.height, call.width,
                         call.channels});
  normalisation.dy = dz.data();
  run(normalisation);
}

template void run(const BatchNormMaxPoolForward<float>&);
template void run(const BatchNormMaxPoolForward<double>&);
template void run(const BatchNormMaxPoolBackward<float>&);
template void run(const BatchNormMaxPoolBackward<double>&);

}  // namespace basin::cpu
