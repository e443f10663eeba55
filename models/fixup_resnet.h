// The paper's network: ResNets without normalisation, started by Fixup. Source: Zhang, Dauphin, Ma
// (ICLR 2019) and the reference's third_party/fixup_resnet.
#pragma once

#include "models/network.h"
#include "models/resnet_plan.h"

namespace basin {

// stem: conv1 -> + bias1 -> ReLU (-> max pool); blocks; global average pool -> + bias2 -> fc.
// bottleneck: h = relu(conv1(x + bias1a) + bias1b); h = relu(conv2(h + bias2a) + bias2b);
//             out = relu(conv3(h + bias3a)*scale + bias3b + id)
// basic:      h = relu(conv1(x + bias1a) + bias1b); out = relu(conv2(h + bias2a)*scale + bias2b +
// id) id = downsample(x + bias1a), a 1x1 convolution, where the shape changes, else x. Every bias
// and scale is one scalar. Module conv1 holds bias1, module fc holds bias2.
class FixupResNet final : public Network {
 public:
  FixupResNet(const ModelOptions& options, DType dtype, Stream& stream);
  bool has_batch_norm() const override { return false; }
  void set_batch_norm_momentum(double) override {}

 protected:
  Activation forward_module(Tape& tape, size_t index, const Activation& input, Mode mode,
                            const Tensor& next_shift,
                            const std::vector<FoldedConvolution>&) override;
  Tensor input_shift(size_t index) const override;
  Init init_of(const State::Entry& entry) const override;

 private:
  struct Block {
    Tensor bias1a, conv1, bias1b, bias2a, conv2, bias2b, bias3a, conv3, bias3b, scale, downsample;
  };
  Activation forward_block(Tape& tape, size_t index, const Activation& input,
                           const Tensor& next_shift);

  ResNetPlan plan_;
  Tensor conv1_, bias1_, bias2_, fc_weight_, fc_bias_;
  std::vector<Block> blocks_;
};

}  // namespace basin
