// The paper's network: ResNets without normalisation, started by Fixup. Source: Zhang, Dauphin, Ma,
// "Fixup initialization" (ICLR 2019), and the paper's code, third_party/fixup_resnet.
//
// stem: conv1 -> + bias1 -> ReLU (-> max pool); blocks; global average pool -> + bias2 -> fc.
// bottleneck: h = relu(conv1(x + bias1a) + bias1b); h = relu(conv2(h + bias2a) + bias2b);
//             out = relu(conv3(h + bias3a)*scale + bias3b + id)
// basic:      h = relu(conv1(x + bias1a) + bias1b);
//             out = relu(conv2(h + bias2a)*scale + bias2b + id)
// id = downsample(x + bias1a), a 1x1 convolution, where the shape changes, else x. Every bias and
// scale is one scalar. Module conv1 holds bias1, module fc holds bias2.
#include <cmath>

#include "models/registry.h"
#include "models/resnet_architecture.h"

namespace basin {
namespace {

using Init = InitialValue;

constexpr const char* kPrefix = "fixup_";

// U(+-1/sqrt(fan in)): PyTorch's default, which Fixup leaves to the stem and the classifier.
Init pytorch_default(int64_t fan_in) {
  return Init::uniform(1 / std::sqrt(static_cast<double>(fan_in)));
}

class FixupResNet final : public Network {
 public:
  FixupResNet(const ModelOptions& options, DType dtype, Stream& stream)
      : Network(options, dtype, stream),
        architecture_(
            resnet_architecture(options.name.substr(std::string(kPrefix).size()), options.width)) {
    const auto& a = architecture_;
    const int64_t kernel = a.stem_kernel();
    state_.begin_module("conv1");
    conv1_ = state_.add_parameter("conv1.weight", {a.stem_channels, kernel, kernel, 3},
                                  pytorch_default(kernel * kernel * 3));
    bias1_ = state_.add_parameter("bias1", {1});
    for (const ResidualBlock& block : a.blocks) blocks_.push_back(make_block(block));
    state_.begin_module("fc");
    bias2_ = state_.add_parameter("bias2", {1});
    const Init fc = options.zero_fc_init ? Init() : pytorch_default(a.features);
    fc_weight_ = state_.add_parameter("fc.weight", {options.classes, a.features}, fc);
    fc_bias_ = state_.add_parameter("fc.bias", {options.classes}, fc);
  }

 private:
  struct Block {
    // conv3 and its biases: of a bottleneck. last_bias: bias3b of a bottleneck, else bias2b.
    Tensor bias1a, conv1, bias1b, bias2a, conv2, bias2b, bias3a, conv3, last_bias, scale,
        downsample;
  };

  Block make_block(const ResidualBlock& shape) {
    state_.begin_module(shape.name);
    const auto scalar = [&](const char* name, double value = 0) {
      return state_.add_parameter(shape.name + "." + name, {1}, Init::constant(value));
    };
    // He's initialisation times `factor`.
    const auto conv = [&](const char* name, int64_t out, int64_t side, int64_t in, double factor) {
      const double he = std::sqrt(2 / static_cast<double>(out * side * side));
      return state_.add_parameter(shape.name + "." + name + ".weight", {out, side, side, in},
                                  factor == 0 ? Init() : Init::normal(he * factor));
    };
    // Fixup's rule 2: weights inside a branch of m layers start L^(-1/(2m-2)) smaller, with L
    // branches in all. Rule 1: the last of a branch starts at zero.
    const auto branches = static_cast<double>(architecture_.blocks.size());
    Block b;
    b.bias1a = scalar("bias1a");
    if (architecture_.bottleneck) {
      const double inside = std::pow(branches, -0.25);
      b.conv1 = conv("conv1", shape.planes, 1, shape.in_channels, inside);
      b.bias1b = scalar("bias1b");
      b.bias2a = scalar("bias2a");
      b.conv2 = conv("conv2", shape.planes, 3, shape.planes, inside);
      b.bias2b = scalar("bias2b");
      b.bias3a = scalar("bias3a");
      b.conv3 = conv("conv3", shape.out_channels, 1, shape.planes, 0);
      b.scale = scalar("scale", 1);
      b.last_bias = scalar("bias3b");
    } else {
      b.conv1 = conv("conv1", shape.planes, 3, shape.in_channels, std::pow(branches, -0.5));
      b.bias1b = scalar("bias1b");
      b.bias2a = scalar("bias2a");
      b.conv2 = conv("conv2", shape.out_channels, 3, shape.planes, 0);
      b.scale = scalar("scale", 1);
      b.last_bias = scalar("bias2b");
    }
    if (shape.downsample) {
      b.downsample = conv("downsample", shape.out_channels, 1, shape.in_channels, 1);
    }
    return b;
  }

  // A block begins with x + bias1a, and its skip connection needs x. Where the block runs right
  // after the module before, that module adds the shift in passing and only x + bias1a is stored;
  // the skip connection takes the shift off again. The last module of a range adds no shift, nor
  // does a module whose output a tap wants.
  Tensor run_modules(Tape& tape, Tensor x, Mode, size_t begin, size_t end,
                     const Tap& tap) override {
    bool shifted = false;  // x carries the shift of module i
    for (size_t i = begin; i < end; ++i) {
      const bool shift_output = i + 1 < end && i < blocks_.size() && !tap;
      const Tensor next_shift = shift_output ? blocks_[i].bias1a : Tensor();
      if (i == 0) {
        x = stem(tape, x, next_shift);
      } else if (i <= blocks_.size()) {
        x = block(tape, i - 1, x, shifted, next_shift);
      } else {
        const Tensor pooled = global_average_pool(tape, x);
        x = linear(tape, affine_relu(tape, pooled, {.bias = bias2_, .relu = false}), fc_weight_,
                   fc_bias_);
      }
      shifted = shift_output;
      if (tap) tap(state_.modules()[i], x);
    }
    return x;
  }

  Tensor stem(Tape& tape, const Tensor& images, const Tensor& next_shift) {
    Tensor h =
        conv2d(tape, images, conv1_, architecture_.stem_stride(), architecture_.stem_kernel() / 2);
    // The shift commutes with the maximum of the pool that follows.
    h = affine_relu(tape, h, {.bias = bias1_, .shift = next_shift});
    return architecture_.small_images ? h : max_pool(tape, h);
  }

  Tensor block(Tape& tape, size_t index, Tensor x, bool shifted, const Tensor& next_shift) {
    const Block& b = blocks_[index];
    const int64_t stride = architecture_.blocks[index].stride;
    if (!shifted) x = affine_relu(tape, x, {.bias = b.bias1a, .relu = false});
    // The skip connection takes bias1a off also where it was added here: so a cut before this block
    // changes no bit.
    Tensor identity = x, identity_shift = b.bias1a;
    if (b.downsample) {
      identity = conv2d(tape, x, b.downsample, stride, 0);
      identity_shift = {};
    }
    Tensor h;
    if (architecture_.bottleneck) {
      h = conv2d(tape, x, b.conv1, 1, 0);
      h = affine_relu(tape, h, {.bias = b.bias1b, .shift = b.bias2a});
      h = conv2d(tape, h, b.conv2, stride, 1);
      h = affine_relu(tape, h, {.bias = b.bias2b, .shift = b.bias3a});
      h = conv2d(tape, h, b.conv3, 1, 0);
    } else {
      h = conv2d(tape, x, b.conv1, stride, 1);
      h = affine_relu(tape, h, {.bias = b.bias1b, .shift = b.bias2a});
      h = conv2d(tape, h, b.conv2, 1, 1);
    }
    return affine_relu(tape, h,
                       {.scale = b.scale,
                        .bias = b.last_bias,
                        .residual = identity,
                        .residual_shift = identity_shift,
                        .shift = next_shift});
  }

  ResNetArchitecture architecture_;
  Tensor conv1_, bias1_, bias2_, fc_weight_, fc_bias_;
  std::vector<Block> blocks_;
};

}  // namespace

NetworkFamily fixup_resnets() {
  NetworkFamily family;
  for (const std::string& name : resnet_names()) family.names.push_back(kPrefix + name);
  family.make = [](const ModelOptions& options, DType dtype,
                   Stream& stream) -> std::unique_ptr<Network> {
    return std::make_unique<FixupResNet>(options, dtype, stream);
  };
  return family;
}

}  // namespace basin
