// ResNets with batch normalisation: parameters, forward, initial weights.
#include "models/resnet.h"

#include <cmath>

namespace basin {

ResNet::Unit ResNet::add_unit(const std::string& conv, const std::string& norm, int64_t out,
                              int64_t side, int64_t in) {
  Unit unit;
  unit.conv = state_.add_parameter(conv + ".weight", {out, side, side, in});
  unit.norm.weight = state_.add_parameter(norm + ".weight", {out});
  unit.norm.bias = state_.add_parameter(norm + ".bias", {out});
  unit.norm.running_mean = state_.add_buffer(norm + ".running_mean", {out});
  unit.norm.running_variance = state_.add_buffer(norm + ".running_var", {out});
  unit.number = convolutions_.size();
  convolutions_.push_back({conv + ".weight", norm});
  return unit;
}

ResNet::ResNet(const ModelOptions& options, DType dtype, Stream& stream)
    : Network(options, dtype, stream), plan_(resnet_plan(options.name, options.width)) {
  state_.begin_module("conv1");
  stem_ = add_unit("conv1", "bn1", plan_.stem_channels, plan_.small_images ? 3 : 7, 3);
  for (const BlockPlan& b : plan_.blocks) {
    state_.begin_module(b.name);
    auto unit = [&](const char* number, int64_t out, int64_t side, int64_t in) {
      return add_unit(b.name + ".conv" + number, b.name + ".bn" + number, out, side, in);
    };
    Block block;
    if (plan_.bottleneck) {
      block.units = {unit("1", b.planes, 1, b.in_channels), unit("2", b.planes, 3, b.planes),
                     unit("3", b.out_channels, 1, b.planes)};
    } else {
      block.units = {unit("1", b.planes, 3, b.in_channels), unit("2", b.out_channels, 3, b.planes)};
    }
    if (b.downsample) {
      block.downsample = add_unit(b.name + ".downsample.0", b.name + ".downsample.1",
                                  b.out_channels, 1, b.in_channels);
    }
    blocks_.push_back(block);
  }
  state_.begin_module("fc");
  fc_weight_ = state_.add_parameter("fc.weight", {options.classes, plan_.features});
  fc_bias_ = state_.add_parameter("fc.bias", {options.classes});
  if (dtype != DType::kF64) {
    folding_ = std::make_unique<Folding>(state_, convolutions_, BatchNorm().epsilon);
  }
}

Activation ResNet::forward_module(Tape& tape, size_t index, const Activation& input, Mode mode,
                                  const Tensor&, const std::vector<FoldedConvolution>& folded) {
  auto unit = [&](const Tensor& x, const Unit& u, int64_t stride, const Tensor& residual,
                  bool relu) {
    const int64_t padding = u.conv.shape()[1] / 2;
    if (!folded.empty()) {
      const auto& [weight, bias] = folded[u.number];
      return conv2d(tape, x, weight, stride, padding, {bias, residual, relu});
    }
    const Tensor h = conv2d(tape, x, u.conv, stride, padding);
    return batch_norm(tape, h, u.norm, mode, residual, relu);
  };
  if (index == 0) {
    if (plan_.small_images) return {unit(input.value, stem_, 1, {}, true), {}};
    if (!folded.empty()) return {max_pool(tape, unit(input.value, stem_, 2, {}, true)), {}};
    const Tensor h = conv2d(tape, input.value, stem_.conv, 2, stem_.conv.shape()[1] / 2);
    return {batch_norm_max_pool(tape, h, stem_.norm, mode), {}};
  }
  if (index <= blocks_.size()) {
    const Block& block = blocks_[index - 1];
    const int64_t stride = plan_.blocks[index - 1].stride;
    const Tensor& x = input.value;
    const bool dual = block.downsample.conv && folded.empty();
    Tensor shortcut = x;
    if (block.downsample.conv) {
      shortcut = dual ? conv2d(tape, x, block.downsample.conv, stride, 0)
                      : unit(x, block.downsample, stride, {}, false);
    }
    // The stride sits on the 3x3 convolution: the second of a bottleneck, the first of a basic
    // block.
    const size_t strided = plan_.bottleneck ? 1 : 0, last = block.units.size() - 1;
    Tensor h = x;
    for (size_t i = 0; i < last; ++i) {
      h = unit(h, block.units[i], i == strided ? stride : 1, {}, true);
    }
    if (!dual) return {unit(h, block.units[last], 1, shortcut, true), {}};
    const Unit& end = block.units[last];
    h = conv2d(tape, h, end.conv, 1, end.conv.shape()[1] / 2);
    return {dual_batch_norm(tape, h, end.norm, shortcut, block.downsample.norm, mode), {}};
  }
  return {linear(tape, global_average_pool(tape, input.value), fc_weight_, fc_bias_), {}};
}

void ResNet::set_batch_norm_momentum(double momentum) {
  stem_.norm.momentum = momentum;
  for (Block& block : blocks_) {
    for (Unit& unit : block.units) unit.norm.momentum = momentum;
    block.downsample.norm.momentum = momentum;
  }
}

Network::Init ResNet::init_of(const State::Entry& entry) const {
  const std::string& name = entry.name;
  const Shape& s = entry.shape;
  if (name.starts_with("fc.")) {
    if (options_.zero_fc_init) return {};
    return {Init::Kind::kUniform, 1 / std::sqrt(static_cast<double>(plan_.features))};
  }
  if (s.rank() == 4) {
    return {Init::Kind::kNormal, std::sqrt(2 / static_cast<double>(s[0] * s[1] * s[2]))};
  }
  const bool one = name.ends_with(".weight") || name.ends_with(".running_var");
  return {Init::Kind::kConstant, one ? 1.0 : 0.0};
}

}  // namespace basin
