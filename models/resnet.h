// ResNets with batch normalisation (v1.5), under torchvision's names.
#pragma once

#include "models/network.h"
#include "models/resnet_plan.h"

namespace basin {

// stem: conv1 -> bn1 -> ReLU (-> max pool); basic or bottleneck blocks; global average pool -> fc.
// Initial weights as torchvision: convolutions N(0, sqrt(2/(out*k*k))), norms 1 and 0, fc
// U(+-1/sqrt(in)).
class ResNet final : public Network {
 public:
  ResNet(const ModelOptions& options, DType dtype, Stream& stream);
  bool has_batch_norm() const override { return true; }
  void set_batch_norm_momentum(double momentum) override;

 protected:
  Activation forward_module(Tape& tape, size_t index, const Activation& input, Mode mode,
                            const Tensor& next_shift,
                            const std::vector<FoldedConvolution>& folded) override;
  Tensor input_shift(size_t) const override { return {}; }
  Init init_of(const State::Entry& entry) const override;

 private:
  struct Unit {
    Tensor conv;
    BatchNorm norm;
    size_t number = 0;  // among all
  };
  struct Block {
    std::vector<Unit> units;  // conv1/bn1, conv2/bn2 (, conv3/bn3)
    Unit downsample;
  };
  Unit add_unit(const std::string& conv, const std::string& norm, int64_t out, int64_t side,
                int64_t in);

  ResNetPlan plan_;
  std::vector<NormalisedConvolution> convolutions_;  // of all units, by number
  Unit stem_;
  std::vector<Block> blocks_;
  Tensor fc_weight_, fc_bias_;
};

}  // namespace basin
