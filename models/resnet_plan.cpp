// The table of residual networks.
#include "models/resnet_plan.h"

#include <map>

#include "kernels/base/check.h"

namespace basin {
namespace {

struct Depth {
  bool bottleneck;
  std::vector<int64_t> blocks;  // per stage
};

const std::map<std::string, Depth>& depths() {
  static const std::map<std::string, Depth> table = {
      {"8", {false, {1, 1, 1}}},        {"14", {false, {2, 2, 2}}},
      {"20", {false, {3, 3, 3}}},       {"32", {false, {5, 5, 5}}},
      {"44", {false, {7, 7, 7}}},       {"56", {false, {9, 9, 9}}},
      {"18", {false, {2, 2, 2, 2}}},    {"34", {false, {3, 4, 6, 3}}},
      {"50", {true, {3, 4, 6, 3}}},     {"101", {true, {3, 4, 23, 3}}},
      {"152", {true, {3, 8, 36, 3}}},   {"18_32", {false, {2, 2, 2, 2}}},
      {"34_32", {false, {3, 4, 6, 3}}}, {"50_32", {true, {3, 4, 6, 3}}},
  };
  return table;
}

}  // namespace

std::vector<std::string> resnet_plan_names() {
  std::vector<std::string> names;
  for (const char* depth : {"8", "14", "20", "32", "44", "56", "18", "34", "50", "101", "152",
                            "18_32", "34_32", "50_32"}) {
    names.push_back(std::string("resnet") + depth);
  }
  return names;
}

ResNetPlan resnet_plan(const std::string& name, int64_t width) {
  const std::string prefix = "resnet";
  const auto it =
      name.rfind(prefix, 0) == 0 ? depths().find(name.substr(prefix.size())) : depths().end();
  BASIN_CHECK(it != depths().end(), "no network is named ", name);
  const Depth& depth = it->second;
  const bool three_stages = depth.blocks.size() == 3;
  ResNetPlan plan;
  plan.small_images = three_stages || name.ends_with("_32");
  plan.bottleneck = depth.bottleneck;
  const int64_t base = width > 0 ? width : (three_stages ? 16 : 64);
  plan.stem_channels = base;
  int64_t channels = base;
  for (size_t stage = 0; stage < depth.blocks.size(); ++stage) {
    const int64_t planes = base << stage;
    const int64_t out = planes * (depth.bottleneck ? ResNetPlan::kExpansion : 1);
    for (int64_t block = 0; block < depth.blocks[stage]; ++block) {
      const int64_t stride = stage > 0 && block == 0 ? 2 : 1;
      plan.blocks.push_back({"layer" + std::to_string(stage + 1) + "." + std::to_string(block),
                             channels, planes, out, stride, stride != 1 || channels != out});
      channels = out;
    }
  }
  plan.features = channels;
  return plan;
}

}  // namespace basin
