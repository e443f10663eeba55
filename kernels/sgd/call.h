// The call of stochastic gradient descent with momentum over a table of chunks.
#pragma once

#include <cstdint>

#include "kernels/base/bf16.h"
#include "kernels/base/types.h"

namespace basin {

// A part of the parameter arena, in elements, inside one parameter.
struct SgdChunk {
  int64_t offset, size;
  double learning_rate_factor;
};

// What changes from step to step; kept in memory so that a captured step never freezes it.
struct SgdControl {
  double learning_rate, momentum, weight_decay;
};

// PyTorch's SGD, no dampening, no Nesterov: g = gradient + decay*value; momentum = m*momentum + g;
// value -= learning_rate*factor*momentum; copy, where wanted, = value, rounded to bfloat16.
template <class T>
struct SgdStep {
  static constexpr const char* kName = "sgd_step";
  T* value;
  const T* gradient;
  T* momentum;
  const SgdChunk* chunks;
  int64_t chunk_count;
  int64_t size;  // elements in all chunks
  const SgdControl* control;
  Bf16* copy = nullptr;  // as large as value
  double flops() const { return count(5, size); }
  double bytes() const { return count(5 * sizeof(T) + (copy ? sizeof(Bf16) : 0), size); }
};

}  // namespace basin
