// The table of residual networks.
#include "models/resnet_architecture.h"

#include <algorithm>

#include "kernels/base/check.h"

namespace basin {
namespace {

struct Depth {
  const char* name;
  bool bottleneck;
  std::vector<int64_t> blocks;  // of each stage
};

const std::vector<Depth>& depths() {
  static const std::vector<Depth> table = {
      {"resnet8", false, {1, 1, 1}},        {"resnet14", false, {2, 2, 2}},
      {"resnet20", false, {3, 3, 3}},       {"resnet32", false, {5, 5, 5}},
      {"resnet44", false, {7, 7, 7}},       {"resnet56", false, {9, 9, 9}},
      {"resnet18", false, {2, 2, 2, 2}},    {"resnet34", false, {3, 4, 6, 3}},
      {"resnet50", true, {3, 4, 6, 3}},     {"resnet101", true, {3, 4, 23, 3}},
      {"resnet152", true, {3, 8, 36, 3}},   {"resnet18_32", false, {2, 2, 2, 2}},
      {"resnet34_32", false, {3, 4, 6, 3}}, {"resnet50_32", true, {3, 4, 6, 3}},
  };
  return table;
}

}  // namespace

std::vector<std::string> resnet_names() {
  std::vector<std::string> names;
  for (const Depth& depth : depths()) names.emplace_back(depth.name);
  return names;
}

ResNetArchitecture resnet_architecture(const std::string& name, int64_t width) {
  const auto depth = std::find_if(depths().begin(), depths().end(),
                                  [&](const Depth& row) { return row.name == name; });
  BASIN_CHECK(depth != depths().end(), "no network is named ", name);
  constexpr int64_t kExpansion = 4;  // of a bottleneck
  const bool three_stages = depth->blocks.size() == 3;
  const int64_t base = width > 0 ? width : (three_stages ? 16 : 64);
  ResNetArchitecture a{.small_images = three_stages || name.ends_with("_32"),
                       .bottleneck = depth->bottleneck,
                       .stem_channels = base,
                       .blocks = {},
                       .features = base};
  for (size_t stage = 0; stage < depth->blocks.size(); ++stage) {
    const int64_t planes = base << stage;
    const int64_t out = planes * (depth->bottleneck ? kExpansion : 1);
    for (int64_t block = 0; block < depth->blocks[stage]; ++block) {
      const int64_t stride = stage > 0 && block == 0 ? 2 : 1;
      a.blocks.push_back({.name = concat("layer", stage + 1, ".", block),
                          .in_channels = a.features,
                          .planes = planes,
                          .out_channels = out,
                          .stride = stride,
                          .downsample = stride != 1 || a.features != out});
      a.features = out;
    }
  }
  return a;
}

}  // namespace basin
