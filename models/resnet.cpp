// ResNets with batch normalisation (v1.5), under torchvision's names and with its initial weights:
// convolutions N(0, 2/(out*k*k)), norms 1 and 0, fc U(+-1/sqrt(in)).
//
// stem: conv1 -> bn1 -> ReLU (-> max pool); basic or bottleneck blocks; global average pool -> fc.
#include <cmath>

#include "engine/folding.h"
#include "models/registry.h"
#include "models/resnet_architecture.h"

namespace basin {
namespace {

using Init = InitialValue;

class ResNet final : public Network {
 public:
  ResNet(const ModelOptions& options, DType dtype, Stream& stream)
      : Network(options, dtype, stream),
        architecture_(resnet_architecture(options.name, options.width)) {
    const auto& a = architecture_;
    state_.begin_module("conv1");
    stem_ = add_unit("conv1", "bn1", a.stem_channels, a.stem_kernel(), 3);
    for (const ResidualBlock& shape : a.blocks) {
      state_.begin_module(shape.name);
      const auto unit = [&](const char* number, int64_t out, int64_t side, int64_t in) {
        return add_unit(shape.name + ".conv" + number, shape.name + ".bn" + number, out, side, in);
      };
      Block& block = blocks_.emplace_back();
      if (a.bottleneck) {
        block.units = {unit("1", shape.planes, 1, shape.in_channels),
                       unit("2", shape.planes, 3, shape.planes),
                       unit("3", shape.out_channels, 1, shape.planes)};
      } else {
        block.units = {unit("1", shape.planes, 3, shape.in_channels),
                       unit("2", shape.out_channels, 3, shape.planes)};
      }
      if (shape.downsample) {
        block.downsample = add_unit(shape.name + ".downsample.0", shape.name + ".downsample.1",
                                    shape.out_channels, 1, shape.in_channels);
      }
    }
    state_.begin_module("fc");
    const Init fc = options.zero_fc_init
                        ? Init()
                        : Init::uniform(1 / std::sqrt(static_cast<double>(a.features)));
    fc_weight_ = state_.add_parameter("fc.weight", {options.classes, a.features}, fc);
    fc_bias_ = state_.add_parameter("fc.bias", {options.classes}, fc);
    if (dtype != DType::kF64) {
      folding_ = std::make_unique<Folding>(state_, convolutions_, BatchNorm().epsilon);
    }
  }

  void set_batch_norm_momentum(double momentum) override {
    stem_.norm.momentum = momentum;
    for (Block& block : blocks_) {
      for (Unit& unit : block.units) unit.norm.momentum = momentum;
      block.downsample.norm.momentum = momentum;
    }
  }

 private:
  // A convolution and its batch norm.
  struct Unit {
    Tensor conv;
    BatchNorm norm;
    size_t number = 0;  // among all
  };
  struct Block {
    std::vector<Unit> units;
    Unit downsample;
  };
  using Folded = std::vector<FoldedConvolution>;  // empty: batch norms are computed on their own

  Unit add_unit(const std::string& conv, const std::string& norm, int64_t out, int64_t side,
                int64_t in) {
    const Init he = Init::normal(std::sqrt(2 / static_cast<double>(out * side * side)));
    Unit unit;
    unit.conv = state_.add_parameter(conv + ".weight", {out, side, side, in}, he);
    unit.norm.weight = state_.add_parameter(norm + ".weight", {out}, Init::constant(1));
    unit.norm.bias = state_.add_parameter(norm + ".bias", {out});
    unit.norm.running_mean = state_.add_buffer(norm + ".running_mean", {out});
    unit.norm.running_variance = state_.add_buffer(norm + ".running_var", {out}, Init::constant(1));
    unit.number = convolutions_.size();
    convolutions_.push_back({conv + ".weight", norm});
    return unit;
  }

  // An evaluation that records nothing folds batch norms into the convolutions, in f32 or bf16.
  Tensor run_modules(Tape& tape, Tensor x, Mode mode, size_t begin, size_t end,
                     const Tap& tap) override {
    Folded folded;
    if (folding_ && mode == Mode::kEvaluate && !tape.recording()) {
      folded = folding_->make(tape, begin, end);
    }
    for (size_t i = begin; i < end; ++i) {
      if (i == 0) {
        x = stem(tape, x, mode, folded);
      } else if (i <= blocks_.size()) {
        x = block(tape, i - 1, x, mode, folded);
      } else {
        x = linear(tape, global_average_pool(tape, x), fc_weight_, fc_bias_);
      }
      if (tap) tap(state_.modules()[i], x);
    }
    return x;
  }

  // [relu](batch_norm(conv(x)) [+ residual])
  Tensor unit(Tape& tape, const Tensor& x, const Unit& u, int64_t stride, const Tensor& residual,
              bool relu, Mode mode, const Folded& folded) {
    if (folded.empty()) {
      return batch_norm(tape, convolution(tape, x, u, stride), u.norm, mode, residual, relu);
    }
    const auto& [weight, bias] = folded[u.number];
    return conv2d(tape, x, weight, stride, padding(u), {bias, residual, relu});
  }
  static int64_t padding(const Unit& u) { return u.conv.shape()[1] / 2; }
  static Tensor convolution(Tape& tape, const Tensor& x, const Unit& u, int64_t stride) {
    return conv2d(tape, x, u.conv, stride, padding(u));
  }

  Tensor stem(Tape& tape, const Tensor& images, Mode mode, const Folded& folded) {
    const int64_t stride = architecture_.stem_stride();
    if (!architecture_.small_images && folded.empty()) {
      return batch_norm_max_pool(tape, convolution(tape, images, stem_, stride), stem_.norm, mode);
    }
    const Tensor h = unit(tape, images, stem_, stride, {}, true, mode, folded);
    return architecture_.small_images ? h : max_pool(tape, h);
  }

  Tensor block(Tape& tape, size_t index, const Tensor& x, Mode mode, const Folded& folded) {
    const Block& b = blocks_[index];
    const int64_t stride = architecture_.blocks[index].stride;
    // The stride sits on the 3x3 convolution: the second of a bottleneck, the first of a basic
    // block.
    const size_t strided = architecture_.bottleneck ? 1 : 0, last = b.units.size() - 1;
    Tensor shortcut = x;
    if (b.downsample.conv) {
      shortcut = unit(tape, x, b.downsample, stride, {}, false, mode, folded);
    }
    Tensor h = x;
    for (size_t i = 0; i < last; ++i) {
      h = unit(tape, h, b.units[i], i == strided ? stride : 1, {}, true, mode, folded);
    }
    return unit(tape, h, b.units[last], 1, shortcut, true, mode, folded);
  }

  ResNetArchitecture architecture_;
  std::vector<NormalisedConvolution> convolutions_;  // of all units, by number
  Unit stem_;
  std::vector<Block> blocks_;
  Tensor fc_weight_, fc_bias_;
  std::unique_ptr<Folding> folding_;  // null in f64
};

}  // namespace

NetworkFamily resnets() {
  return {resnet_names(), [](const ModelOptions& options, DType dtype, Stream& stream) {
            return std::unique_ptr<Network>(std::make_unique<ResNet>(options, dtype, stream));
          }};
}

}  // namespace basin
