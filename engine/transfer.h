// Tensors between host memory and the device of a stream.
#pragma once

#include <vector>

#include "engine/tensor.h"
#include "kernels/device/stream.h"

namespace basin {

// All elements of `to`, in order; `from` may change afterwards.
template <class T>
void upload(const T* from, const Tensor& to, Stream& stream) {
  stream.copy_to_device(to.data<T>(), from, to.size() * static_cast<int64_t>(sizeof(T)));
}

// Waits until everything queued on the stream has run.
template <class T>
std::vector<T> download(const Tensor& from, Stream& stream) {
  std::vector<T> elements(static_cast<size_t>(from.size()));
  stream.copy_to_host(elements.data(), from.data<T>(),
                      from.size() * static_cast<int64_t>(sizeof(T)));
  return elements;
}

}  // namespace basin
