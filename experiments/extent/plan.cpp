// Measures the extent of the basins of two P-T, and asks whether two RI-T are in one.
#include <nlohmann/json.hpp>

#include "engine/files.h"
#include "experiments/extent/extent.h"
#include "experiments/plan/paper_plan.h"

namespace basin {
namespace {

ExtentOptions extent_options(const Preset& preset, const TargetDomain& target,
                             const NetworkPair& pair) {
  ExtentOptions options;
  options.from = pair.first;
  options.to = pair.second;
  options.data = target.data;
  options.step = preset.extent_step;
  options.noise_draws = preset.extent_noise_draws;
  return options;
}

}  // namespace

void plan_extent(PaperPlan& plan) {
  const Preset& preset = plan.preset();
  const double line = 3 / preset.extent_step + 1;
  const double noise = 2.0 * 10 * 2 * static_cast<double>(preset.extent_noise_draws);
  for (const TargetDomain& target : preset.targets) {
    const double images = (line + noise) * test_images(target);
    const std::vector<NetworkPair> pairs = plan.main_pairs(target);
    const NetworkPair &finetune = pairs.at(0), &randinit = pairs.at(1);
    plan.add_analysis({.target = target,
                       .detail = finetune.name,
                       .needs = finetune.needs,
                       .images = images,
                       .at_most = true,
                       .run = [&preset, &target, finetune](const std::filesystem::path& folder,
                                                           Session& session) {
                         ExtentOptions options = extent_options(preset, target, finetune);
                         options.out = folder;
                         run_extent(options, session);
                       }});
    const std::string of_finetune = "extent-" + target.name + "-" + finetune.name;
    std::vector<std::string> needs = randinit.needs;
    needs.push_back(of_finetune);
    plan.add_analysis({.target = target,
                       .detail = randinit.name,
                       .needs = needs,
                       .images = images,
                       .at_most = true,
                       .run = [&preset, &target, randinit, of_finetune](
                                  const std::filesystem::path& folder, Session& session) {
                         ExtentOptions options = extent_options(preset, target, randinit);
                         // Condition 1 is asked of them with the epsilon of P-T.
                         const auto other = folder.parent_path() / of_finetune / "result.json";
                         options.threshold_epsilon =
                             nlohmann::json::parse(read_file(other)).at("epsilon");
                         options.out = folder;
                         run_extent(options, session);
                       }});
  }
}

}  // namespace basin
