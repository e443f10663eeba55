// Philox4x32-10, the counter-based generator of Salmon et al., "Parallel random numbers: as easy as
// 1, 2, 3" (SC 2011). A number is a function of (seed, purpose, epoch, sample, position) and of
// nothing else, so the same numbers come out on the CPU, on a GPU, and for any number of threads.
#pragma once

#include <array>
#include <cmath>
#include <cstdint>
#include <utility>

#include "kernels/base/host_device.h"

namespace basin {

// What a stream of random numbers is for; streams of different purposes never overlap.
enum class RandomPurpose : uint32_t {
  kInit = 1,          // initial weights; sample = index of the parameter
  kOrder = 2,         // order of the samples in an epoch
  kAugmentation = 3,  // crop, flip; sample = index of the image
  kMixup = 4,         // sample = index of the batch
  kShuffle = 5,       // block and pixel permutations
  kNoise = 6,         // weight perturbation
  kSplit = 7,         // choice of training subsets
  kRender = 8,        // derived image domains; sample = index of the image
};

using PhiloxCounter = std::array<uint32_t, 4>;
using PhiloxKey = std::array<uint32_t, 2>;

// Ten rounds of Philox4x32 on one counter; checked against the published known-answer vectors.
BASIN_HOST_DEVICE inline PhiloxCounter philox4x32_10(PhiloxCounter counter, PhiloxKey key) {
  for (int round = 0; round < 10; ++round) {
    if (round > 0) {
      key[0] += 0x9E3779B9u;
      key[1] += 0xBB67AE85u;
    }
    const uint64_t product0 = uint64_t{0xD2511F53u} * counter[0];
    const uint64_t product1 = uint64_t{0xCD9E8D57u} * counter[2];
    counter = {static_cast<uint32_t>(product1 >> 32) ^ counter[1] ^ key[0],
               static_cast<uint32_t>(product1),
               static_cast<uint32_t>(product0 >> 32) ^ counter[3] ^ key[1],
               static_cast<uint32_t>(product0)};
  }
  return counter;
}

// A sequence of numbers for one (seed, purpose, epoch, sample). Cheap to construct; copy to fork.
class RandomStream {
 public:
  // `epoch` < 2^24, `sample` < 2^32.
  BASIN_HOST_DEVICE RandomStream(uint64_t seed, RandomPurpose purpose, uint32_t epoch = 0,
                                 uint32_t sample = 0)
      : key_{static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32)},
        counter_{0, sample, epoch, static_cast<uint32_t>(purpose)} {}

  BASIN_HOST_DEVICE uint32_t bits() {
    if (used_ == 4) {
      block_ = philox4x32_10(counter_, key_);
      ++counter_[0];
      used_ = 0;
    }
    return block_[used_++];
  }

  // Uniform in [0, 1), 24 bits.
  BASIN_HOST_DEVICE float uniform() { return static_cast<float>(bits() >> 8) * 0x1p-24f; }
  // Uniform in [low, high).
  BASIN_HOST_DEVICE float uniform(float low, float high) { return low + (high - low) * uniform(); }

  // Uniform integer in [0, bound), bound in 1..2^32-1, without bias (rejection).
  BASIN_HOST_DEVICE uint32_t below(uint32_t bound) {
    const uint32_t threshold = (0u - bound) % bound;
    uint64_t product = uint64_t{bits()} * bound;
    while (static_cast<uint32_t>(product) < threshold) product = uint64_t{bits()} * bound;
    return static_cast<uint32_t>(product >> 32);
  }

  // Standard normal, Box-Muller in double; consumes two draws for each pair of values.
  BASIN_HOST_DEVICE double normal() {
    if (has_spare_) {
      has_spare_ = false;
      return spare_;
    }
    const double u1 = (bits() + 1.0) * 0x1p-32;  // in (0, 1]
    const double u2 = bits() * 0x1p-32;
    const double radius = std::sqrt(-2.0 * std::log(u1));
    const double angle = 6.283185307179586476925286766559 * u2;
    spare_ = radius * std::sin(angle);
    has_spare_ = true;
    return radius * std::cos(angle);
  }

 private:
  PhiloxKey key_;
  PhiloxCounter counter_;
  PhiloxCounter block_{};
  int used_ = 4;
  double spare_ = 0;
  bool has_spare_ = false;
};

// Fisher-Yates shuffle of [first, last) driven by `random`.
template <class Iterator>
void shuffle(Iterator first, Iterator last, RandomStream& random) {
  for (auto count = last - first; count > 1; --count) {
    const auto pick = static_cast<decltype(count)>(random.below(static_cast<uint32_t>(count)));
    std::swap(first[count - 1], first[pick]);
  }
}

}  // namespace basin
