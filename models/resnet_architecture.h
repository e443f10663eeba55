// The architecture of a residual network: what ResNets with batch norm and Fixup ResNets share.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace basin {

struct ResidualBlock {
  std::string name;  // "layer2.0"
  int64_t in_channels, planes, out_channels, stride;
  bool downsample;  // the skip connection is a 1x1 convolution
};

// He et al. (2015), with the stride on the 3x3 convolution of a bottleneck (v1.5, as in torchvision
// and the paper's code). Networks for 32x32 images have a 3x3 stem without pooling. The depths 6n+2
// have three stages of basic blocks (planes w, 2w, 4w), the ImageNet depths four.
struct ResNetArchitecture {
  bool small_images;
  bool bottleneck;
  int64_t stem_channels;
  std::vector<ResidualBlock> blocks;
  int64_t features;  // channels that enter fc

  int64_t stem_kernel() const { return small_images ? 3 : 7; }
  int64_t stem_stride() const { return small_images ? 1 : 2; }
};

// Of "resnet<depth>" or "resnet<depth>_32" (an ImageNet depth with the stem for 32x32 images), with
// `width` channels in the first stage; 0: 64, or 16 with three stages. `name` is one of
// resnet_names().
ResNetArchitecture resnet_architecture(const std::string& name, int64_t width);

std::vector<std::string> resnet_names();

}  // namespace basin
