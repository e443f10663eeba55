// Common and uncommon mistakes, counted by hand, and their pictures.
#include "experiments/mistakes/mistakes.h"

#include "data/image/image.h"
#include "tests/experiments/tiny_data.h"
#include "tests/support/errors.h"
#include "tests/support/temporary_folder.h"

using namespace basin;
using namespace basin::test;

namespace {

void check_counts(const MistakeCounts& row, const std::string& label, int64_t items, int64_t both,
                  int64_t first, int64_t second) {
  CAPTURE(label);
  CHECK(row.label == label);
  CHECK(row.items == items);
  CHECK(row.both_wrong == both);
  CHECK(row.only_first_wrong == first);
  CHECK(row.only_second_wrong == second);
  CHECK(row.common() == both);
  CHECK(row.uncommon() == first + second);
  CHECK(row.either_wrong() == both + first + second);
}

}  // namespace

TEST_CASE("mistakes: one class an image") {
  // Classes 0 1 2 0 1 2 0.
  const auto set = tiny_set(7, 8, 3);
  Evaluation first, second;
  first.predictions = {0, 0, 2, 1, 1, 0, 0};   // wrong: 1, 3, 5
  second.predictions = {0, 2, 2, 1, 1, 2, 1};  // wrong: 1, 3, 6
  const Mistakes mistakes = compare_mistakes(*set, first, second);
  REQUIRE(mistakes.counts.size() == 1);
  // Image 1 is wrong in both, whatever they say instead.
  check_counts(mistakes.counts[0], "all", 7, 2, 1, 1);
  CHECK(mistakes.both_wrong == std::vector<int64_t>{1, 3});
  CHECK(mistakes.only_first_wrong == std::vector<int64_t>{5});
  CHECK(mistakes.only_second_wrong == std::vector<int64_t>{6});
  const Mistakes swapped = compare_mistakes(*set, second, first);
  check_counts(swapped.counts[0], "all", 7, 2, 1, 1);
  CHECK(swapped.only_first_wrong == std::vector<int64_t>{6});

  second.predictions.pop_back();
  CHECK(contains(error_of([&] { compare_mistakes(*set, first, second); }), "7 images"));
}

TEST_CASE("mistakes: pairs of image and label, yes from a sigmoid of 0.5 on") {
  const std::vector<uint8_t> truth = {1, 0, 0, 1, 1, 1};
  const data::ArrayDataset set(tiny_info(8, 2, true), truth, noise_pixels(3, 8));
  Evaluation first, second;
  first.logits = {0, 0.1f, -5, -0.1f, 2, 3};     // wrong: (0,1), (1,1)
  second.logits = {-1e-6f, 4, -5, 0.1f, 2, -2};  // wrong: (0,0), (0,1), (2,1)
  const Mistakes mistakes = compare_mistakes(set, first, second);
  REQUIRE(mistakes.counts.size() == 3);
  check_counts(mistakes.counts[0], "all", 6, 1, 1, 2);
  check_counts(mistakes.counts[1], "0", 3, 0, 0, 1);
  check_counts(mistakes.counts[2], "1", 3, 1, 1, 1);
  // Image 0 has one pair that both get wrong and one that only the second does.
  CHECK(mistakes.both_wrong == std::vector<int64_t>{0});
  CHECK(mistakes.only_first_wrong == std::vector<int64_t>{1});
  CHECK(mistakes.only_second_wrong == std::vector<int64_t>{0, 2});

  first.logits.pop_back();
  CHECK(contains(error_of([&] { compare_mistakes(set, first, second); }), "6 (image, label)"));
}

TEST_CASE("mistakes: pictures are taken evenly") {
  std::vector<int64_t> items;
  for (int64_t i = 0; i < 10; ++i) items.push_back(100 + i);
  CHECK(take_evenly(items, 10) == items);
  CHECK(take_evenly(items, 24) == items);
  CHECK(take_evenly(items, 5) == std::vector<int64_t>{101, 103, 105, 107, 109});
  CHECK(take_evenly(items, 3) == std::vector<int64_t>{101, 105, 108});
  CHECK(take_evenly({}, 3).empty());
}

TEST_CASE("mistakes: a sheet shows the images named, enlarged, row by row") {
  const TemporaryFolder folder;
  const std::string path = (folder.path / "sheet.png").string();
  const auto set = tiny_set(12, 8, 3);
  const std::vector<int64_t> images = {7, 2, 11, 0, 5, 6, 9, 1, 10};  // one more than a row
  write_pictures(*set, images, path);
  const data::Image sheet = data::decode_image(path);
  constexpr int64_t kGap = 6, kSide = 96;
  REQUIRE(sheet.height == kGap + 2 * (kSide + kGap));
  REQUIRE(sheet.width == kGap + 8 * (kSide + kGap));
  auto pixel = [&](int64_t y, int64_t x, int64_t channel) {
    return sheet.pixels[static_cast<size_t>((y * sheet.width + x) * 3 + channel)];
  };
  std::vector<uint8_t> image(static_cast<size_t>(set->image_bytes()));
  for (size_t i = 0; i < images.size(); ++i) {
    set->read(images[i], image.data());
    const auto column = static_cast<int64_t>(i % 8), row = static_cast<int64_t>(i / 8);
    int64_t wrong = 0;
    for (int64_t y = 0; y < kSide; ++y) {
      for (int64_t x = 0; x < kSide; ++x) {
        for (int64_t channel = 0; channel < 3; ++channel) {
          const auto at = static_cast<size_t>((y / 12 * 8 + x / 12) * 3 + channel);
          wrong += pixel(kGap + row * (kSide + kGap) + y, kGap + column * (kSide + kGap) + x,
                         channel) != image[at];
        }
      }
    }
    CHECK(wrong == 0);
  }
  for (const int64_t x : {int64_t{0}, sheet.width - 1}) CHECK(pixel(kGap, x, 0) == 160);

  write_pictures(*set, {4}, path);
  CHECK(data::decode_image(path).width == kGap + kSide + kGap);
  CHECK(contains(error_of([&] { write_pictures(*set, {}, path); }), path));
}
