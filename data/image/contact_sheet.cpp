// Images side by side in one PNG.
#include "data/image/contact_sheet.h"

#include <algorithm>

#include "data/image/image.h"
#include "data/shuffle.h"
#include "kernels/base/check.h"

namespace basin::data {
namespace {

class Sheet {
 public:
  Sheet(const Dataset& dataset, int64_t rows, int64_t columns)
      : image_height_(dataset.height()),
        image_width_(dataset.width()),
        rows_(rows),
        columns_(columns) {
    BASIN_CHECK(rows >= 1 && columns >= 1, "contact sheet of ", rows, " x ", columns, " images");
    pixels_.assign(static_cast<size_t>(rows * cell_height() * columns * cell_width() * 3), 128);
  }

  // `pixels`: [height, width, 3].
  void put(int64_t row, int64_t column, const uint8_t* pixels) {
    for (int64_t y = 0; y < image_height_; ++y) {
      const int64_t line = row * cell_height() + y + 1;
      const int64_t at = (line * columns_ * cell_width() + column * cell_width() + 1) * 3;
      std::copy_n(pixels + y * image_width_ * 3, image_width_ * 3, pixels_.begin() + at);
    }
  }

  void write(const std::string& path) const {
    write_png(path, pixels_.data(), rows_ * cell_height(), columns_ * cell_width());
  }

 private:
  // A border of one.
  int64_t cell_height() const { return image_height_ + 2; }
  int64_t cell_width() const { return image_width_ + 2; }

  int64_t image_height_, image_width_, rows_, columns_;
  std::vector<uint8_t> pixels_;
};

}  // namespace

void write_contact_sheet(const Dataset& dataset, const std::string& path, int64_t rows,
                         int64_t columns) {
  Sheet sheet(dataset, rows, columns);
  std::vector<uint8_t> pixels(static_cast<size_t>(dataset.image_bytes()));
  std::vector<int64_t> next(static_cast<size_t>(dataset.classes()), 0);  // where to look on
  for (int64_t row = 0; row < rows; ++row) {
    const int64_t wanted = row % dataset.classes();
    for (int64_t column = 0; column < columns; ++column) {
      int64_t index = row * columns + column;
      if (!dataset.multi_label()) {
        int64_t& search = next[static_cast<size_t>(wanted)];
        while (search < dataset.size() && dataset.label(search) != wanted) ++search;
        index = search++;
      }
      if (index >= dataset.size()) continue;
      dataset.read(index, pixels.data());
      sheet.put(row, column, pixels.data());
    }
  }
  sheet.write(path);
}

void write_shuffle_sheet(const Dataset& dataset, const std::string& path,
                         const std::vector<int64_t>& blocks, uint32_t seed, int64_t columns) {
  columns = std::min(columns, dataset.size());
  std::vector<std::vector<uint32_t>> maps;
  for (const int64_t block : blocks) {
    maps.push_back(block_shuffle_map(dataset.height(), dataset.width(), block, seed));
  }
  maps.push_back(pixel_shuffle_map(dataset.height(), dataset.width(), seed));
  Sheet sheet(dataset, static_cast<int64_t>(maps.size()) + 1, columns);
  std::vector<uint8_t> pixels(static_cast<size_t>(dataset.image_bytes())), shuffled(pixels.size());
  for (int64_t column = 0; column < columns; ++column) {
    dataset.read(column * dataset.size() / columns, pixels.data());
    sheet.put(0, column, pixels.data());
    for (size_t row = 0; row < maps.size(); ++row) {
      for (size_t i = 0; i < pixels.size(); ++i) shuffled[i] = pixels[maps[row][i]];
      sheet.put(static_cast<int64_t>(row) + 1, column, shuffled.data());
    }
  }
  sheet.write(path);
}

}  // namespace basin::data
