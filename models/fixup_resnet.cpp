// Fixup ResNets: parameters, forward, initial weights.
#include "models/fixup_resnet.h"

#include <cmath>

namespace basin {

FixupResNet::FixupResNet(const ModelOptions& options, DType dtype, Stream& stream)
    : Network(options, dtype, stream),
      plan_(resnet_plan(options.name.substr(std::string("fixup_").size()), options.width)) {
  const int64_t stem = plan_.small_images ? 3 : 7;
  state_.begin_module("conv1");
  conv1_ = state_.add_parameter("conv1.weight", {plan_.stem_channels, stem, stem, 3});
  bias1_ = state_.add_parameter("bias1", {1});
  for (const BlockPlan& b : plan_.blocks) {
    state_.begin_module(b.name);
    auto scalar = [&](const char* name) { return state_.add_parameter(b.name + "." + name, {1}); };
    auto conv = [&](const char* name, int64_t out, int64_t side, int64_t in) {
      return state_.add_parameter(b.name + "." + name + ".weight", {out, side, side, in});
    };
    Block block;
    if (plan_.bottleneck) {
      block.bias1a = scalar("bias1a");
      block.conv1 = conv("conv1", b.planes, 1, b.in_channels);
      block.bias1b = scalar("bias1b");
      block.bias2a = scalar("bias2a");
      block.conv2 = conv("conv2", b.planes, 3, b.planes);
      block.bias2b = scalar("bias2b");
      block.bias3a = scalar("bias3a");
      block.conv3 = conv("conv3", b.out_channels, 1, b.planes);
      block.scale = scalar("scale");
      block.bias3b = scalar("bias3b");
    } else {
      block.bias1a = scalar("bias1a");
      block.conv1 = conv("conv1", b.planes, 3, b.in_channels);
      block.bias1b = scalar("bias1b");
      block.bias2a = scalar("bias2a");
      block.conv2 = conv("conv2", b.out_channels, 3, b.planes);
      block.scale = scalar("scale");
      block.bias2b = scalar("bias2b");
    }
    if (b.downsample) block.downsample = conv("downsample", b.out_channels, 1, b.in_channels);
    blocks_.push_back(block);
  }
  state_.begin_module("fc");
  bias2_ = state_.add_parameter("bias2", {1});
  fc_weight_ = state_.add_parameter("fc.weight", {options.classes, plan_.features});
  fc_bias_ = state_.add_parameter("fc.bias", {options.classes});
}

Tensor FixupResNet::input_shift(size_t index) const {
  return index >= 1 && index <= blocks_.size() ? blocks_[index - 1].bias1a : Tensor();
}

Activation FixupResNet::forward_module(Tape& tape, size_t index, const Activation& input, Mode,
                                       const Tensor& next_shift,
                                       const std::vector<FoldedConvolution>&) {
  if (index == 0) {
    Tensor h =
        conv2d(tape, input.value, conv1_, plan_.small_images ? 1 : 2, plan_.small_images ? 1 : 3);
    // The shift commutes with the maximum of the pool behind it.
    h = affine_relu(
        tape, h,
        {.scale = {}, .bias = bias1_, .residual = {}, .residual_shift = {}, .shift = next_shift});
    return {plan_.small_images ? h : max_pool(tape, h), next_shift};
  }
  if (index <= blocks_.size()) return forward_block(tape, index - 1, input, next_shift);
  const Tensor pooled = global_average_pool(tape, input.value);
  const Tensor shifted = affine_relu(tape, pooled,
                                     {.scale = {},
                                      .bias = bias2_,
                                      .residual = {},
                                      .residual_shift = {},
                                      .shift = {},
                                      .relu = false});
  return {linear(tape, shifted, fc_weight_, fc_bias_), {}};
}

Activation FixupResNet::forward_block(Tape& tape, size_t index, const Activation& input,
                                      const Tensor& next_shift) {
  const Block& b = blocks_[index];
  const BlockPlan& plan = plan_.blocks[index];
  Tensor shifted = input.value;  // x + bias1a
  if (!input.shift) {
    shifted = affine_relu(tape, input.value,
                          {.scale = {},
                           .bias = b.bias1a,
                           .residual = {},
                           .residual_shift = {},
                           .shift = {},
                           .relu = false});
  }
  // Also where the shift was added here: then a cut in front of this block changes no bit.
  Tensor identity = shifted, identity_shift = b.bias1a;
  if (b.downsample) {
    identity = conv2d(tape, shifted, b.downsample, plan.stride, 0);
    identity_shift = {};
  }
  Tensor h;
  if (plan_.bottleneck) {
    h = conv2d(tape, shifted, b.conv1, 1, 0);
    h = affine_relu(
        tape, h,
        {.scale = {}, .bias = b.bias1b, .residual = {}, .residual_shift = {}, .shift = b.bias2a});
    h = conv2d(tape, h, b.conv2, plan.stride, 1);
    h = affine_relu(
        tape, h,
        {.scale = {}, .bias = b.bias2b, .residual = {}, .residual_shift = {}, .shift = b.bias3a});
    h = conv2d(tape, h, b.conv3, 1, 0);
  } else {
    h = conv2d(tape, shifted, b.conv1, plan.stride, 1);
    h = affine_relu(
        tape, h,
        {.scale = {}, .bias = b.bias1b, .residual = {}, .residual_shift = {}, .shift = b.bias2a});
    h = conv2d(tape, h, b.conv2, 1, 1);
  }
  h = affine_relu(tape, h,
                  {.scale = b.scale,
                   .bias = plan_.bottleneck ? b.bias3b : b.bias2b,
                   .residual = identity,
                   .residual_shift = identity_shift,
                   .shift = next_shift});
  return {h, next_shift};
}

Network::Init FixupResNet::init_of(const State::Entry& entry) const {
  const std::string& name = entry.name;
  const Shape& s = entry.shape;
  if (name == "fc.weight" || name == "fc.bias") {
    if (options_.zero_fc_init) return {};
    return {Init::Kind::kUniform, 1 / std::sqrt(static_cast<double>(plan_.features))};
  }
  // PyTorch's default, U(+-1/sqrt(fan_in)): the Fixup loop does not touch the stem.
  if (name == "conv1.weight") {
    return {Init::Kind::kUniform, 1 / std::sqrt(static_cast<double>(s[1] * s[2] * s[3]))};
  }
  if (name.ends_with(".weight")) {
    const double n = static_cast<double>(s[0] * s[1] * s[2]);  // out_channels * k * k
    if (name.ends_with("downsample.weight")) return {Init::Kind::kNormal, std::sqrt(2 / n)};
    const bool last = name.ends_with(plan_.bottleneck ? "conv3.weight" : "conv2.weight");
    if (last) return {};
    const double branches = static_cast<double>(blocks_.size());  // L
    const double exponent = plan_.bottleneck ? -0.25 : -0.5;
    return {Init::Kind::kNormal, std::sqrt(2 / n) * std::pow(branches, exponent)};
  }
  return {Init::Kind::kConstant, name.ends_with("scale") ? 1.0 : 0.0};
}

}  // namespace basin
