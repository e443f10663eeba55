// The step arena: the same addresses every step, no growth after the first, nothing left behind.
#include "engine/arena.h"

#include <doctest/doctest.h>

#include <cstring>
#include <map>
#include <vector>

#include "kernels/base/random.h"
#include "tests/support/errors.h"
#include "tests/support/training.h"

using namespace basin;
using namespace basin::test;

namespace {
constexpr int64_t kLimit = int64_t{64} << 20;
}

TEST_CASE("the same requests get the same addresses") {
  StepArena arena(kLimit);
  auto step = [&] {
    std::vector<void*> addresses;
    std::vector<std::shared_ptr<Storage>> held;
    for (int64_t bytes : {1000, 1, 5000, 0, 256}) held.push_back(arena.allocate(bytes));
    for (const auto& block : held) addresses.push_back(block->data());
    held.erase(held.begin() + 1, held.begin() + 3);
    for (int64_t bytes : {200, 3000, 100000}) held.push_back(arena.allocate(bytes));
    for (const auto& block : held) addresses.push_back(block->data());
    return addresses;
  };
  const std::vector<void*> first = step();
  const int64_t peak = arena.peak_bytes(), growths = arena.allocations_from_system();
  CHECK(arena.live_bytes() == 0);
  CHECK(growths > 0);
  for (int i = 0; i < 3; ++i) CHECK(step() == first);
  CHECK(arena.peak_bytes() == peak);
  CHECK(arena.allocations_from_system() == growths);
}

TEST_CASE("blocks are aligned, of the size asked for, and writable to their end") {
  StepArena arena(kLimit);
  for (int64_t bytes : {0, 1, 255, 256, 257, 100000}) {
    const auto block = arena.allocate(bytes);
    CHECK(block->bytes() == bytes);
    CHECK(reinterpret_cast<uintptr_t>(block->data()) % 256 == 0);
    std::memset(block->data(), 1, static_cast<size_t>(bytes));
  }
}

TEST_CASE("freed blocks merge with their neighbours and blocks never overlap") {
  StepArena arena(kLimit);
  RandomStream random(4, RandomPurpose::kNoise);
  std::vector<std::shared_ptr<Storage>> held;
  bool apart = true, kept = true;
  for (int i = 0; i < 4000; ++i) {
    if (held.empty() || random.below(100) < 52) {
      held.push_back(arena.allocate(random.below(20000)));
      // Each block carries its own number; an overlap would overwrite another's.
      std::memset(held.back()->data(), static_cast<int>(held.size() % 251),
                  static_cast<size_t>(held.back()->bytes()));
      const auto* begin = static_cast<const std::byte*>(held.back()->data());
      for (size_t other = 0; other + 1 < held.size(); ++other) {
        const auto* at = static_cast<const std::byte*>(held[other]->data());
        apart = apart && (begin >= at + held[other]->bytes() || begin + held.back()->bytes() <= at);
      }
    } else {
      const size_t pick = random.below(static_cast<uint32_t>(held.size()));
      const auto* bytes = static_cast<const unsigned char*>(held[pick]->data());
      const int64_t size = held[pick]->bytes();
      for (int64_t b = 1; b < size; ++b) kept = kept && bytes[b] == bytes[0];
      std::swap(held[pick], held.back());
      held.pop_back();
    }
  }
  CHECK(apart);
  CHECK(kept);
  held.clear();
  CHECK(arena.live_bytes() == 0);
  // All pieces are one again: a block of the whole range fits.
  const auto whole = arena.allocate(kLimit - 4096);
  CHECK(arena.live_bytes() >= kLimit - 4096);
}

TEST_CASE("a request beyond the limit names itself, what is in use and the remedy") {
  StepArena arena(1 << 20);
  const auto block = arena.allocate(1 << 19);
  const std::string message = error_of([&] { arena.allocate(1 << 20); });
  CHECK(contains(message, "1048576 bytes does not fit"));
  CHECK(contains(message, concat(arena.live_bytes(), " of 1048576")));
  CHECK(contains(message, "--batch-size"));
  CHECK(contains(error_of([&] { arena.allocate(-1); }), "-1"));
  arena.allocate(1 << 18);  // the failure left the arena in order
}

TEST_CASE("a training step leaves nothing in the arena, and later steps need no more than it") {
  for (const char* name : {"fixup_resnet8", "resnet8", "fixup_resnet50_32"}) {
    Stream stream(Device::kCpu);
    StepArena arena(kLimit);
    const auto network = small_network(name, stream);
    network->initialize(1);
    Training training(*network);
    training.step(arena, 0.1);
    CHECK(arena.live_bytes() == 0);
    const int64_t growths = arena.allocations_from_system(), peak = arena.peak_bytes();
    CHECK(growths > 0);
    for (int i = 0; i < 4; ++i) training.step(arena, 0.1);
    CHECK(arena.live_bytes() == 0);
    CHECK(arena.allocations_from_system() == growths);
    CHECK(arena.peak_bytes() == peak);
  }
}

TEST_CASE("a state block is zero, aligned, and may be empty") {
  for (int64_t bytes : {0, 1, 1000}) {
    const auto block = allocate_state(bytes);
    CHECK(block->bytes() == bytes);
    CHECK(reinterpret_cast<uintptr_t>(block->data()) % 256 == 0);
    for (int64_t i = 0; i < bytes; ++i) CHECK(static_cast<const char*>(block->data())[i] == 0);
  }
}
