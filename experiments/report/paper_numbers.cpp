// Figures 2 to 5, 7 and 16 and Tables 1 and 2 of the paper, as numbers.
#include "experiments/report/paper_numbers.h"

#include <cstddef>

namespace basin::report {
namespace {

constexpr PaperNumbers kReal = {
    .name = "real",
    .is_auc = false,
    .finetune = 0.784,
    .randinit = 0.615,
    .rates = "P-T 78.4 % (0.02), 76 % (0.1); RI-T 49 % (0.02), 61.5 % (0.1)",
    .finetune_speed = 0.951,
    .randinit_speed = 0.859,
    .finetune_pair = 193.45,
    .randinit_pair = 815.08,
    .finetune_pretrained = 164.83,
    .randinit_pretrained = 796.80,
    .epsilon = 0.0038,
    .delta = 49.14};
constexpr PaperNumbers kClipart = {
    .name = "clipart",
    .is_auc = false,
    .finetune = 0.74,
    .randinit = 0.58,
    .rates = "P-T 74 % (0.02), 72.7 % (0.1); RI-T 38.5 % (0.02), 58 % (0.1)",
    .finetune_speed = 0.943,
    .randinit_speed = 0.837,
    .finetune_pair = 178.07,
    .randinit_pair = 822.43,
    .finetune_pretrained = 157.19,
    .randinit_pretrained = 811.87,
    .epsilon = 0.0054,
    .delta = 98.28};
constexpr PaperNumbers kQuickdraw = {
    .name = "quickdraw",
    .is_auc = false,
    .finetune = 0.67,
    .randinit = 0.64,
    .rates = "P-T 67 % (0.02), 54 % (0.1); RI-T 56.5 % (0.02), 64 % (0.1)",
    .finetune_speed = 0.937,
    .randinit_speed = 0.879,
    .finetune_pair = 218.52,
    .randinit_pair = 776.76,
    .finetune_pretrained = 195.44,
    .randinit_pretrained = 785.22,
    .epsilon = 0.0034,
    .delta = 49.14};
constexpr PaperNumbers kChexpert = {
    .name = "CheXpert",
    .is_auc = true,
    .finetune = 0.735,
    .randinit = 0.704,
    .rates =
        "final 0.735 for P-T (0.02), 0.704 (0.02) and 0.702 (0.1) for RI-T; best 0.788 (epoch "
        "4), 0.770 (175) and 0.770 (68)",
    .finetune_speed = 0,
    .randinit_speed = 0,
    .finetune_pair = 200.12,
    .randinit_pair = 255.34,
    .finetune_pretrained = 237.31,
    .randinit_pretrained = 598.19,
    .epsilon = 0,
    .delta = 0};

struct Line {
  const PaperNumbers* target;
  std::string_view kind;
  const char* text;
};
constexpr Line kLines[] = {
    {&kReal, "finetune-finetune", "78.4 and 78.5 % at the ends, 79.4 % in the middle"},
    {&kReal, "randinit-randinit", "61.5 and 61.2 % at the ends, 0.4 % in the middle"},
    {&kReal, "randinit-finetune", "61.6 and 78.4 % at the ends, 0.5 % in the middle"},
    {&kReal, "same_init", "61.5 and 61 % at the ends, 6.5 % in the middle"},
    {&kClipart, "finetune-finetune", "74.3 and 74.1 % at the ends, 75.3 % in the middle"},
    {&kClipart, "same_init", "58 % at both ends, 5.5 % in the middle"},
    {&kQuickdraw, "finetune-finetune", "67.0 and 66.8 % at the ends, 67.2 % in the middle"},
    {&kQuickdraw, "randinit-randinit", "64.2 and 63.7 % at the ends, 0.4 % in the middle"},
    {&kQuickdraw, "randinit-finetune", "64.1 and 66.8 % at the ends, 0.4 % in the middle"},
    {&kQuickdraw, "same_init", "64.2 % at both ends, 16.3 % in the middle"},
    {&kChexpert, "finetune-finetune", "0.735 and 0.733 at the ends, 0.745 in the middle"},
    {&kChexpert, "randinit-randinit", "0.702 and 0.699 at the ends, 0.525 in the middle"},
    {&kChexpert, "finetune_best-finetune_best", "flat, 0.786 to 0.788"},
    {&kChexpert, "finetune_best-finetune", "0.786 and 0.733 at the ends, 0.777 in the middle"},
    {&kChexpert, "randinit_best-randinit_best", "0.770 and 0.767 at the ends, 0.543 in the middle"},
    {&kChexpert, "randinit_best-randinit", "0.766 and 0.699 at the ends, 0.635 in the middle"},
    {&kChexpert, "finetune_best-randinit_best", "0.787 and 0.767 at the ends, 0.43 at worst"}};

constexpr PaperShuffle kRealShuffle[] = {
    {"*", 16, 9.3, 7.8, 81.7, 47.3},    {"1", 9, 13.7, 12.5, 82.8, 46.5},
    {"2", 3, 19, 18.4, 85.6, 68.3},     {"4", 12, 26.9, 23.7, 88.4, 77.2},
    {"7", 31, 33.1, 23, 90.1, 79.5},    {"8", 34, 41.8, 28, 91.2, 79.5},
    {"14", 45, 52.4, 28.8, 92.9, 82.5}, {"16", 45, 57, 31.2, 93.5, 80},
    {"28", 52, 63.3, 30.2, 94.3, 83.7}, {"32", 45, 65.9, 36.3, 94.3, 80.6},
    {"56", 52, 70, 33.4, 94.6, 84.8},   {"112", 45, 74.8, 41.4, 94.6, 85.6},
    {"224", 42, 77, 44.9, 95.1, 85.9},
};
constexpr PaperShuffle kClipartShuffle[] = {
    {"*", 33, 10.7, 7.1, 80.3, 15.4},    {"1", 22, 14.1, 11, 80.6, 27.7},
    {"2", 23, 17.7, 13.6, 83.9, 45.9},   {"4", 22, 23.5, 18.4, 87.3, 72.8},
    {"7", 29, 28.1, 20.2, 89, 76.1},     {"8", 33, 32.7, 21.7, 89.8, 75.6},
    {"14", 38, 41.3, 25.7, 91.8, 79.2},  {"16", 41, 45.7, 27.1, 92.1, 76.4},
    {"28", 46, 52.9, 28.3, 92.9, 80.3},  {"32", 45, 56.5, 31, 93.5, 76.7},
    {"56", 49, 62.8, 31.9, 93.7, 81.7},  {"112", 43, 70.2, 39.8, 94.3, 82.8},
    {"224", 40, 73.6, 44.5, 94.3, 83.7},
};
constexpr PaperShuffle kQuickdrawShuffle[] = {
    {"*", 91, 10.7, 1, 83.1, 0.9},       {"1", 69, 9.7, 3, 78.3, 2.3},
    {"2", 30, 17, 11.9, 75.6, 70},       {"4", 23, 25.2, 19.2, 87.9, 81.1},
    {"7", 20, 26.9, 21.6, 89, 84.5},     {"8", 23, 30.7, 23.5, 87.9, 77.8},
    {"14", 24, 34.3, 26.1, 91.5, 86.2},  {"16", 20, 38, 30.4, 92.1, 86.5},
    {"28", 25, 41.8, 31.7, 92.3, 86.7},  {"32", 18, 45.2, 37, 92.9, 86.2},
    {"56", 26, 51, 37.7, 93.2, 87.3},    {"112", 24, 60.1, 45.9, 93.5, 87.6},
    {"224", 22, 64.7, 50.7, 93.7, 87.9},
};
constexpr PaperRewinding kRewinding[] = {
    {"none", 0.734, 0.704, 0.702},     {"conv1", 0.724, 0.507, 0.562},
    {"layer1.0", 0.729, 0.638, 0.679}, {"layer1.1", 0.733, 0.701, 0.701},
    {"layer1.2", 0.727, 0.692, 0.695}, {"layer2.0", 0.726, 0.655, 0.658},
    {"layer2.1", 0.733, 0.683, 0.699}, {"layer2.2", 0.736, 0.695, 0.702},
    {"layer2.3", 0.731, 0.696, 0.696}, {"layer3.0", 0.719, 0.641, 0.543},
    {"layer3.1", 0.732, 0.666, 0.695}, {"layer3.2", 0.729, 0.684, 0.700},
    {"layer3.3", 0.731, 0.692, 0.692}, {"layer3.4", 0.735, 0.698, 0.696},
    {"layer3.5", 0.730, 0.694, 0.693}, {"layer4.0", 0.716, 0.675, 0.609},
    {"layer4.1", 0.735, 0.681, 0.654}, {"layer4.2", 0.710, 0.636, 0.652},
    {"fc", 0.693, 0.690, 0.690},
};
constexpr PaperCheckpoint kRealCheckpoints[] = {
    {0, 61.3, 72.8},  {1, 61.8, 79.2},  {2, 64.1, 84.9},  {5, 69.6, 89.8},  {10, 73.5, 91.4},
    {29, 76.2, 92.2}, {30, 76.5, 92.2}, {31, 76.8, 92.6}, {59, 78.4, 93.4}, {60, 78.4, 93.4},
    {61, 78.4, 93.4}, {89, 78.4, 93.3}, {90, 78.4, 93.3},
};
constexpr PaperCheckpoint kClipartCheckpoints[] = {
    {0, 0, 0},        {1, 0, 78.7},     {2, 61, 84.9},    {5, 67.1, 89.6},  {10, 70.6, 91},
    {29, 72.6, 91.7}, {30, 72.8, 91.7}, {31, 72.9, 91.8}, {59, 74.2, 92.5}, {60, 74.1, 92.5},
    {61, 74.1, 92.6}, {89, 73.9, 92.5}, {90, 73.9, 92.5},
};
constexpr PaperCheckpoint kQuickdrawCheckpoints[] = {
    {0, 64.3, 70.2},  {1, 64.6, 74.8},  {2, 64.9, 78.6},  {5, 66.1, 82.6},  {10, 66.8, 84.4},
    {29, 66.9, 85.7}, {30, 66.8, 85.7}, {31, 66.9, 85.6}, {59, 67.2, 86.5}, {60, 67.2, 86.5},
    {61, 67.3, 86.5}, {89, 66.9, 86.5}, {90, 66.9, 86.5},
};

bool is_target(std::string_view target, const PaperNumbers& numbers) {
  return paper_numbers(target) == &numbers;
}

}  // namespace

const PaperNumbers* paper_numbers(std::string_view target) {
  if (target == "real" || target == "photo") return &kReal;
  if (target == "clipart") return &kClipart;
  if (target == "quickdraw") return &kQuickdraw;
  if (target == "chexpert" || target == "mosaic") return &kChexpert;
  return nullptr;
}

const char* paper_line(std::string_view target, std::string_view kind) {
  const PaperNumbers* numbers = paper_numbers(target);
  for (const Line& line : kLines) {
    if (line.target == numbers && line.kind == kind) return line.text;
  }
  return nullptr;
}

std::span<const PaperShuffle> paper_shuffle(std::string_view target) {
  if (is_target(target, kReal)) return kRealShuffle;
  if (is_target(target, kClipart)) return kClipartShuffle;
  if (is_target(target, kQuickdraw)) return kQuickdrawShuffle;
  return {};
}

std::optional<std::array<double, 5>> paper_cka(std::string_view pair) {
  if (pair == "finetune-pretrained") return {{0.6225, 0.4592, 0.2896, 0.1877, 0.0453}};
  if (pair == "finetune-finetune") return {{0.6710, 0.8230, 0.6052, 0.4089, 0.1628}};
  if (pair == "randinit-finetune") return {{0.0036, 0.0011, 0.0022, 0.0003, 0.0808}};
  if (pair == "randinit-randinit") return {{0.0016, 0.0088, 0.0004, 0.0004, 0.0424}};
  return std::nullopt;
}

std::span<const PaperRewinding> paper_rewinding(std::string_view target) {
  if (is_target(target, kChexpert)) return kRewinding;
  return {};
}

std::span<const PaperCheckpoint> paper_checkpoints(std::string_view target) {
  if (is_target(target, kReal)) return kRealCheckpoints;
  if (is_target(target, kClipart)) return kClipartCheckpoints;
  if (is_target(target, kQuickdraw)) return kQuickdrawCheckpoints;
  return {};
}

}  // namespace basin::report
