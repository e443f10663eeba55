// The paper's own figures, to print beside the measured ones.
#pragma once

#include <optional>
#include <string_view>

namespace basin {

// Performance as fractions of 1. Accuracies and curves were read off the figures of the paper
// (about 1 point, 0.002 AUC); the distances are those of its Table 2, exact.
struct PaperNumbers {
  const char* name;  // the paper's name of the target
  bool is_auc;
  double finetune, randinit;              // Figure 2; final test performance, the better rate each
  double finetune_speed, randinit_speed;  // Figure 3 right, block 224; 0: not given
  const char* finetune_line;              // Figure 4, P-T to P-T, ends and middle
  const char* randinit_line;              // Figure 4 (clipart: 16), RI-T to RI-T
  const char* mixed_line;                 // Figure 4, RI-T to P-T
  double finetune_pair, randinit_pair, finetune_pretrained, randinit_pretrained;  // Table 2
};

// The target of the paper that `target` is or stands for: real (photo), clipart, quickdraw,
// chexpert (mosaic); null for any other name.
const PaperNumbers* paper_numbers(std::string_view target);

}  // namespace basin
