// Batch norm folded into the convolution before it: what evaluations compute with.
#pragma once

#include <string>
#include <vector>

#include "engine/state.h"
#include "engine/tape.h"

namespace basin {

// Names in a State: "layer1.0.conv1.weight" and the "layer1.0.bn1" that follows.
struct NormalisedConvolution {
  std::string weight, norm;
};

// conv(x, weight) + bias is the convolution followed by batch norm with running statistics.
struct FoldedConvolution {
  Tensor weight, bias;
};

// Makes the folded weights of some modules in one launch, from the current values of the State.
// They are made again for each pass, so parameters may change between passes.
class Folding {
 public:
  // `state` has registered everything, in f32 or bf16, and outlives this; its convolutions are in
  // its order.
  Folding(const State& state, const std::vector<NormalisedConvolution>& convolutions,
          double epsilon);

  // One for each convolution, in order; empty outside of modules [begin, end). In memory of the
  // step. In bf16 they are rounded once, after folding.
  std::vector<FoldedConvolution> make(Tape& tape, size_t begin, size_t end) const;

 private:
  struct Convolution {
    Shape shape;
    int64_t offset, filter, bias;  // of its weight; its first places in the table and the biases
  };
  const State& state_;
  std::vector<Convolution> convolutions_;
  double epsilon_;
  int64_t biases_ = 0;
  std::shared_ptr<Storage> filters_;  // the table of filters, in memory of the device
};

}  // namespace basin
