// Figures 2, 3, 4 and 16 and Table 2 of the paper, as numbers.
#include "experiments/paper_numbers.h"

namespace basin {
namespace {

constexpr PaperNumbers kReal = {"real",
                                false,
                                0.784,
                                0.615,
                                0.951,
                                0.859,
                                "78.4 and 78.5 % at the ends, 79.4 % in the middle",
                                "61.5 and 61.2 % at the ends, 0.4 % in the middle",
                                "61.6 and 78.4 % at the ends, 0.5 % in the middle",
                                193.45,
                                815.08,
                                164.83,
                                796.80};
constexpr PaperNumbers kClipart = {
    "clipart",
    false,
    0.74,
    0.58,
    0.943,
    0.837,
    "74.3 and 74.1 % at the ends, 75.3 % in the middle",
    "58 % at both ends, 5.5 % in the middle (two RI-T from equal initial weights)",
    nullptr,
    178.07,
    822.43,
    157.19,
    811.87};
constexpr PaperNumbers kQuickdraw = {"quickdraw",
                                     false,
                                     0.67,
                                     0.64,
                                     0.937,
                                     0.879,
                                     "67.0 and 66.8 % at the ends, 67.2 % in the middle",
                                     "64.2 and 63.7 % at the ends, 0.4 % in the middle",
                                     "64.1 and 66.8 % at the ends, 0.4 % in the middle",
                                     218.52,
                                     776.76,
                                     195.44,
                                     785.22};
constexpr PaperNumbers kChexpert = {"CheXpert",
                                    true,
                                    0.735,
                                    0.704,
                                    0,
                                    0,
                                    "0.735 and 0.733 at the ends, 0.745 in the middle",
                                    "0.702 and 0.699 at the ends, 0.525 in the middle",
                                    "0.787 and 0.767 at the ends (best checkpoints), 0.43 at worst",
                                    200.12,
                                    255.34,
                                    237.31,
                                    598.19};

}  // namespace

const PaperNumbers* paper_numbers(std::string_view target) {
  if (target == "real" || target == "photo") return &kReal;
  if (target == "clipart") return &kClipart;
  if (target == "quickdraw") return &kQuickdraw;
  if (target == "chexpert" || target == "mosaic") return &kChexpert;
  return nullptr;
}

}  // namespace basin
