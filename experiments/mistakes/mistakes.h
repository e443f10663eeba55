// Which mistakes two networks share. Paper, section 3.2 and appendix: common mistakes are those
// both networks make, uncommon ones those exactly one of them makes.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "data/dataset.h"
#include "experiments/program/evaluate.h"
#include "experiments/program/options.h"

namespace basin {

struct MistakeCounts {
  std::string label;  // "all", or a label of a multi-label set
  int64_t items = 0, both_wrong = 0, only_first_wrong = 0, only_second_wrong = 0;

  int64_t common() const { return both_wrong; }
  int64_t uncommon() const { return only_first_wrong + only_second_wrong; }
  int64_t either_wrong() const { return common() + uncommon(); }  // the union
};

struct Mistakes {
  // "all", then, for a multi-label set, each label.
  std::vector<MistakeCounts> counts;
  // Images with such an item, ascending. One image of a multi-label set may be in all three.
  std::vector<int64_t> both_wrong, only_first_wrong, only_second_wrong;
};

// An item is an image, judged by the first of its highest scores; of a multi-label set it is an
// (image, label) pair, which a network answers with yes where the sigmoid of its output is at least
// 0.5.
Mistakes compare_mistakes(const data::Dataset& set, const Evaluation& first,
                          const Evaluation& second);

// At most `count` of `items`, evenly taken over them, in their order.
std::vector<int64_t> take_evenly(const std::vector<int64_t>& items, int64_t count);

constexpr int64_t kPictureColumns = 8, kPictures = 24;

// Writes a PNG of the images, row by row with kPictureColumns a row, each enlarged by a whole
// factor to a side of 96 pixels or more. Throws Error where there is none, or the file cannot be
// written.
void write_pictures(const data::Dataset& set, const std::vector<int64_t>& images,
                    const std::string& path);

struct MistakesOptions {
  std::filesystem::path a, b;  // checkpoints or run folders: first and second network
  data::DataOptions data;
  std::string model;
  std::filesystem::path out;

  Options list();
};

// Writes mistakes.csv (label, items, both_wrong, only_first_wrong, only_second_wrong), result.json
// (shares of all items, and of the items that either network has wrong; the latter null where there
// is none), up to kPictures images each in only_first_wrong.png, only_second_wrong.png and
// both_wrong.png (missing when there is none), and pictures.csv (sheet, position from 0 in it,
// index of the image in the test set, true class, first's and second's answer; labels of
// multi-label sets joined by ';'). Progress advances by each network's images. A finished folder of
// the same settings is left as it is.
void run_mistakes(const MistakesOptions& options, Session& session);

}  // namespace basin
