// Where a training run on a target starts.
#pragma once

namespace basin {

enum class Start {
  kFinetune,  // from the pre-trained network: P-T
  kRandinit,  // from random weights: RI-T
};

inline constexpr Start kStarts[] = {Start::kFinetune, Start::kRandinit};

// As folders, tables and plan.json have it.
constexpr const char* name_of(Start start) {
  return start == Start::kFinetune ? "finetune" : "randinit";
}

}  // namespace basin
