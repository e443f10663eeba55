// Rules for what two finished networks have in common: mistakes, features, parameters.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "experiments/report/claims.h"

namespace basin::report {

// Mistakes of two networks on the same items (images, or images and labels).
struct MistakeCounts {
  std::int64_t items = 0, both_wrong = 0, only_first_wrong = 0, only_second_wrong = 0;

  std::int64_t either_wrong() const { return both_wrong + only_first_wrong + only_second_wrong; }
  // Share of the mistakes of either network that both make; nothing where there is no mistake.
  std::optional<double> common_ratio() const;
  // The same if the mistakes of the two were independent of each other.
  std::optional<double> independent_ratio() const;
};

extern const char* const kSharedMistakesRule;
// The two P-T, and the pair that must share less.
Judgement judge_shared_mistakes(const std::optional<MistakeCounts>& finetune,
                                const std::optional<MistakeCounts>& other);

// A measure per module, in order of depth.
struct ModuleValue {
  std::string module;
  double value;
};

extern const char* const kFeaturesRule;
// CKA of two P-T; of P-T and RI-T; of two RI-T.
Judgement judge_features(std::span<const ModuleValue> finetune, std::span<const ModuleValue> mixed,
                         std::span<const ModuleValue> randinit);
extern const char* const kPretrainedFeaturesRule;
// CKA of P-T and P; of P-T and RI-T; of two RI-T.
Judgement judge_pretrained_features(std::span<const ModuleValue> pretrained,
                                    std::span<const ModuleValue> mixed,
                                    std::span<const ModuleValue> randinit);

extern const char* const kCloserRule;
// l2 distances in parameter space between two P-T and between two RI-T.
Judgement judge_closer(std::optional<double> finetune, std::optional<double> randinit);

extern const char* const kDeeperRule;
// Per module the distance of two P-T, and the same divided by the root mean square of the norms.
Judgement judge_deeper(std::span<const ModuleValue> distance,
                       std::span<const ModuleValue> relative);

constexpr double kSignificance = 0.05;  // p-values up to it count as significant

// What rank_correlation() says of depth and value, fc left out; used by other rules, too.
struct DepthTrend {
  std::size_t modules;  // that were compared
  double coefficient, p_value;
};
// Nothing where fewer than 4 modules are left: no order of 3 has a probability below 5 %.
std::optional<DepthTrend> depth_trend(std::span<const ModuleValue> values);

}  // namespace basin::report
