// Distances per module and in all.
#include "experiments/distance.h"

#include <cmath>

namespace basin {

std::vector<Distance> distances(const State& a, const State& b, bool with_fc) {
  const std::vector<double> between = a.module_distances(b);
  const std::vector<double> norms_a = a.module_norms(), norms_b = b.module_norms();
  const std::vector<std::string>& modules = a.modules();
  auto total = [&](const std::string& name, bool fc) {
    Distance sum{name, 0, 0, 0};
    for (size_t i = 0; i < modules.size(); ++i) {
      if (!fc && modules[i] == "fc") continue;
      sum.distance += between[i] * between[i];
      sum.norm_a += norms_a[i] * norms_a[i];
      sum.norm_b += norms_b[i] * norms_b[i];
    }
    return Distance{name, std::sqrt(sum.distance), std::sqrt(sum.norm_a), std::sqrt(sum.norm_b)};
  };
  std::vector<Distance> result;
  if (with_fc) result.push_back(total("all", true));
  result.push_back(total("all_but_fc", false));
  for (size_t i = 0; i < modules.size(); ++i) {
    if (!with_fc && modules[i] == "fc") continue;
    result.push_back({modules[i], between[i], norms_a[i], norms_b[i]});
  }
  return result;
}

}  // namespace basin
