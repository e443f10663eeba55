// Numbers computed from logits: accuracy and area under the ROC curve.
#pragma once

#include <cstdint>
#include <vector>

namespace basin {

// Area under the ROC curve of `scores` for binary `positives`: the probability that a positive
// scores above a negative, ties counted half (sklearn's roc_auc_score). NaN when one of the classes
// is empty or a score is NaN.
double roc_auc(const std::vector<float>& scores, const std::vector<uint8_t>& positives);

}  // namespace basin
