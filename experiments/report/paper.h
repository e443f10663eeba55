// What the paper calls its targets. Its figures are in the folders of the experiments: tables and
// printed labels are exact; curves and bars were read off the figures (about 1 point, 0.002 AUC).
#pragma once

#include <string>
#include <string_view>

namespace basin::report {

struct PaperTarget {
  const char* name;
  bool is_auc;
};

// The target of the paper that `target` is or represents: real (photo), clipart, quickdraw,
// CheXpert (chexpert, mosaic); null for any other name.
inline const PaperTarget* paper_target(std::string_view target) {
  static constexpr PaperTarget kReal{"real", false}, kClipart{"clipart", false},
      kQuickdraw{"quickdraw", false}, kChexpert{"CheXpert", true};
  if (target == "real" || target == "photo") return &kReal;
  if (target == "clipart") return &kClipart;
  if (target == "quickdraw") return &kQuickdraw;
  if (target == "chexpert" || target == "mosaic") return &kChexpert;
  return nullptr;
}

inline bool is_paper_target(std::string_view target, std::string_view name) {
  const PaperTarget* paper = paper_target(target);
  return paper != nullptr && paper->name == name;
}
inline bool is_chexpert(std::string_view target) {
  return is_paper_target(target, "CheXpert");
}

// The row of a table of the paper whose member `target` names the paper's target; null where there
// is none.
template <class Rows>
auto paper_row(const Rows& rows, std::string_view target) -> decltype(&rows[0]) {
  for (const auto& row : rows) {
    if (is_paper_target(target, row.target)) return &row;
  }
  return nullptr;
}

}  // namespace basin::report
