// Measures the extent of the basins of two P-T, and asks whether two RI-T are in one.
#include <nlohmann/json.hpp>

#include "engine/files.h"
#include "experiments/extent/extent.h"
#include "experiments/plan/paper_plan.h"

namespace basin {

void plan_extent(PaperPlan& plan) {
  const Preset& preset = plan.preset();
  const double line = 3 / preset.extent_step + 1;
  const double noise = 2.0 * 10 * 2 * static_cast<double>(preset.extent_noise_draws);
  for (const TargetDomain& target : preset.targets) {
    const std::vector<NetworkPair> pairs = plan.main_pairs(target);
    for (size_t i = 0; i < 2; ++i) {
      ExtentOptions options;
      options.from = pairs[i].first;
      options.to = pairs[i].second;
      options.step = preset.extent_step;
      options.noise_draws = preset.extent_noise_draws;
      Analysis analysis{.target = target,
                        .detail = pairs[i].name,
                        .needs = pairs[i].needs,
                        .images = (line + noise) * test_images(target),
                        .at_most = true};
      // Condition 1 is asked of two RI-T with the epsilon of two P-T.
      const std::string of_finetune = i == 1 ? "extent-" + target.name + "-" + pairs[0].name : "";
      if (i == 1) analysis.needs.push_back(of_finetune);
      plan.add_analysis(analysis, options, [of_finetune](ExtentOptions o, Session& session) {
        if (!of_finetune.empty()) {
          const auto result = o.out.parent_path() / of_finetune / "result.json";
          o.threshold_epsilon = nlohmann::json::parse(read_file(result)).at("epsilon");
        }
        run_extent(o, session);
      });
    }
  }
}

}  // namespace basin
