// Block shuffling and pixel shuffling: one fixed permutation of the values of an image.
#pragma once

#include <cstdint>
#include <vector>

namespace basin::data {

// NumPy's RandomState(seed).permutation(size), value for value. 1 <= size < 2^32.
std::vector<uint32_t> numpy_permutation(uint32_t seed, int64_t size);

// The image is cut into blocks of block_size x block_size, numbered row by row; block j of the
// output is block permutation[j] of the input. Returns, for every value of an output image [height,
// width, 3], the position of the input value that goes there. Throws Error unless block_size
// divides both sides.
std::vector<uint32_t> block_shuffle_map(int64_t height, int64_t width, int64_t block_size,
                                        uint32_t seed);

// The same for a permutation of all 3 * height * width values, channels included. As in the paper's
// code the permutation numbers the values channel by channel: position (c * height + y) * width +
// x.
std::vector<uint32_t> pixel_shuffle_map(int64_t height, int64_t width, uint32_t seed);

}  // namespace basin::data
