// Pictures of many images of a data set at once.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "data/dataset.h"

namespace basin::data {

// Writes a PNG of rows x columns images: row r shows images of class r % classes(), or, of a
// multi-label set, simply the first images.
void write_contact_sheet(const Dataset& dataset, const std::string& path, int64_t rows,
                         int64_t columns);

// Writes a PNG of `columns` images, evenly taken: above as they are, then a row for each side of
// `blocks` with the blocks shuffled by `seed`, and below with all their values shuffled.
void write_shuffle_sheet(const Dataset& dataset, const std::string& path,
                         const std::vector<int64_t>& blocks, uint32_t seed, int64_t columns);

}  // namespace basin::data
