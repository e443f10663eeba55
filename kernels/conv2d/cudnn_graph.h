// A convolution as cuDNN gets it described: an operation graph.
#pragma once

#include <cudnn.h>

#include <cstdint>
#include <list>
#include <string>

#include "kernels/conv2d/call.h"
#include "kernels/conv2d/cudnn_backend.h"

namespace basin::cuda {

enum class Direction { kForward, kBackwardData, kBackwardWeights };

// What an algorithm depends on, besides the machine and the libraries.
struct ConvolutionProblem {
  Direction direction;
  Conv2dShape shape;
  cudnnDataType_t type, output_type;
  bool accumulate = false;
  bool bias = false, residual = false, relu = false;  // the epilogue

  std::string text() const;  // a part of the key in the file of algorithms
  int64_t output_size() const;
};

int64_t size_of(cudnnDataType_t type);

// Bytes, of all tensors.
constexpr int64_t kCudnnAlignment = 16;

// Names of a graph's tensors.
constexpr int64_t kX = 'x', kW = 'w', kY = 'y', kBias = 'b', kResidual = 'r';

// The convolution and, `whole`, one pointwise operation after it for each of bias, residual and
// ReLU, with virtual tensors of float between. Not `whole`, it is the convolution alone, without
// accumulation and with an output in the type of the inputs. `parts` keeps what the graph refers
// to.
Descriptor operation_graph(const ConvolutionProblem& problem, bool whole, cudnnHandle_t handle,
                           std::list<Descriptor>& parts);

}  // namespace basin::cuda
