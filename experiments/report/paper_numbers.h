// The paper's own figures, to print beside the measured ones. Tables and printed labels are exact;
// curves and bars were read off the figures (about 1 point, 0.002 AUC).
#pragma once

#include <array>
#include <optional>
#include <span>
#include <string_view>

namespace basin::report {

// Performance as fractions of 1.
struct PaperNumbers {
  const char* name;  // the paper's name of the target
  bool is_auc;
  double finetune, randinit;              // Figure 2; final test performance, the better rate each
  const char* rates;                      // Figure 2; final test performance by learning rate
  double finetune_speed, randinit_speed;  // Figure 3 right, block 224; 0: not given
  double finetune_pair, randinit_pair, finetune_pretrained, randinit_pretrained;  // Table 2
  double epsilon, delta;  // of two P-T, section 3.3; 0: not given
};
// The target of the paper that `target` is or stands for: real (photo), clipart, quickdraw,
// chexpert (mosaic); null for any other name.
const PaperNumbers* paper_numbers(std::string_view target);

// Figures 4 and 16: performance along the line between two networks; `kind` as the folders of the
// analyses call it ("randinit-finetune", "same_init"). Null where the paper shows none.
const char* paper_line(std::string_view target, std::string_view kind);

// Figure 3, per cent.
struct PaperShuffle {
  const char* block;  // block size of images of side 224; "*": all pixels and channels
  double drop;        // printed in the figure
  double finetune, randinit, finetune_speed, randinit_speed;
};
std::span<const PaperShuffle> paper_shuffle(std::string_view target);  // empty: not shown there

// Table 1, CheXpert: CKA of conv1 and the four stages. `pair` as in "randinit-finetune".
std::optional<std::array<double, 5>> paper_cka(std::string_view pair);

// Figure 5, CheXpert: mean test AUC with one module rewound.
struct PaperRewinding {
  const char* module;
  double finetune, randinit_slow, randinit_fast;  // rates 0.02, 0.02, 0.1
};
std::span<const PaperRewinding> paper_rewinding(std::string_view target);  // empty: not shown there

// Figure 7: pre-training checkpoint of 90, final test accuracy and mean training accuracy, per
// cent; 0: off the plot.
struct PaperCheckpoint {
  int epoch;
  double test, speed;
};
std::span<const PaperCheckpoint> paper_checkpoints(std::string_view target);  // empty: not shown

}  // namespace basin::report
