// Batch norm folded into the convolution in front of it: what evaluations compute with.
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

// conv(x, weight) + bias is the convolution with its batch norm by the running statistics.
struct FoldedConvolution {
  Tensor weight, bias;
};

// Makes the folded weights of some modules in one launch, from the values that the State then has:
// they belong to one pass, and whoever changes parameters between passes need not know of them.
class Folding {
 public:
  // `state` has registered everything, in f32 or bf16, and outlives this; its convolutions are in
  // its order.
  Folding(const State& state, const std::vector<NormalisedConvolution>& convolutions,
          double epsilon);

  // One for each convolution, in order; empty outside of modules [begin, end). In memory of the
  // step; in bf16 they are rounded once, when they are folded.
  std::vector<FoldedConvolution> make(Tape& tape, size_t begin, size_t end) const;

 private:
  struct Convolution {
    Shape shape;
    int64_t offset, row, bias;  // of its weight, in the table, in the biases
  };
  const State& state_;
  std::vector<Convolution> convolutions_;
  double epsilon_;
  int64_t biases_ = 0;
  std::shared_ptr<Storage> rows_;  // the table, in memory of the device
};

}  // namespace basin
