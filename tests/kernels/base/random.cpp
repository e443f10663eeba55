// Philox against the known-answer vectors published with Random123 (kat_vectors, philox4x32 10).
#include "kernels/base/random.h"

#include <doctest/doctest.h>

using basin::philox4x32_10;
using basin::PhiloxCounter;

TEST_CASE("philox4x32-10 gives the published vectors") {
  CHECK(philox4x32_10({0, 0, 0, 0}, {0, 0}) ==
        PhiloxCounter{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8});
  CHECK(philox4x32_10({0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}, {0xffffffff, 0xffffffff}) ==
        PhiloxCounter{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd});
  CHECK(philox4x32_10({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}) ==
        PhiloxCounter{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1});
}

TEST_CASE("streams differ by every part of their identity and repeat exactly") {
  using basin::RandomPurpose;
  using basin::RandomStream;
  const uint32_t base = RandomStream(7, RandomPurpose::kInit, 1, 2).bits();
  CHECK(base == RandomStream(7, RandomPurpose::kInit, 1, 2).bits());
  CHECK(base != RandomStream(8, RandomPurpose::kInit, 1, 2).bits());
  CHECK(base != RandomStream(7, RandomPurpose::kNoise, 1, 2).bits());
  CHECK(base != RandomStream(7, RandomPurpose::kInit, 2, 2).bits());
  CHECK(base != RandomStream(7, RandomPurpose::kInit, 1, 3).bits());
}

TEST_CASE("normal draws have the moments of N(0, 1)") {
  basin::RandomStream random(1, basin::RandomPurpose::kNoise);
  double sum = 0, squares = 0, fourth = 0;
  const int count = 200000;
  for (int i = 0; i < count; ++i) {
    const double z = random.normal();
    sum += z;
    squares += z * z;
    fourth += z * z * z * z;
  }
  CHECK(std::abs(sum / count) < 0.01);  // 4.5 standard errors
  CHECK(std::abs(squares / count - 1) < 0.015);
  CHECK(std::abs(fourth / count - 3) < 0.1);
}
