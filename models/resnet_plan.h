// The shape of a residual network: what ResNets with batch norm and Fixup ResNets have in common.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace basin {

// One residual block.
struct BlockPlan {
  std::string name;  // "layer2.0"
  int64_t in_channels, planes, out_channels, stride;
  bool downsample;  // the skip connection is a 1x1 convolution
};

// He et al. (2015) with the stride on the 3x3 convolution of a bottleneck (v1.5, as torchvision and
// the reference have it). `small_images`: 3x3 stem without pooling, for 32x32 pictures; depths 6n+2
// have three stages of basic blocks (planes w, 2w, 4w), the ImageNet depths their four.
struct ResNetPlan {
  bool small_images;
  bool bottleneck;
  int64_t stem_channels;
  std::vector<BlockPlan> blocks;
  int64_t features;  // channels that enter fc

  static constexpr int64_t kExpansion = 4;  // of a bottleneck
};

// The plan of "resnet<depth>" or "resnet<depth>_32" (an ImageNet depth with the stem for small
// images), with `width` channels in the first stage (0: 64 or 16). Throws Error for an unknown
// depth.
ResNetPlan resnet_plan(const std::string& name, int64_t width);

// The names resnet_plan() knows.
std::vector<std::string> resnet_plan_names();

}  // namespace basin
