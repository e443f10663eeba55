// The claims on features; their words are in section.cpp.
#pragma once

#include <span>

#include "experiments/report/claims.h"

namespace basin::report {

// CKA of two P-T; of P-T and RI-T; of two RI-T.
Judgement judge_features(std::span<const ModuleValue> finetune, std::span<const ModuleValue> mixed,
                         std::span<const ModuleValue> randinit);
// CKA of P-T and P; of P-T and RI-T; of two RI-T.
Judgement judge_pretrained_features(std::span<const ModuleValue> pretrained,
                                    std::span<const ModuleValue> mixed,
                                    std::span<const ModuleValue> randinit);

}  // namespace basin::report
