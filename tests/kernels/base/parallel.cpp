// Parallel loops: every index once, chunks without gaps, the same bits for any number of threads.
#include "kernels/base/parallel.h"

#include <doctest/doctest.h>

#include <cmath>
#include <cstdint>
#include <numeric>
#include <utility>
#include <vector>

#include "kernels/base/check.h"

namespace {

constexpr int kTeams[] = {1, 2, 3, 8};

// Puts the number of threads back at the end of a test.
struct ThreadsRestored {
  int before = basin::threads();
  ~ThreadsRestored() { basin::set_threads(before); }
};

}  // namespace

TEST_CASE("parallel_for calls each index once, and its writes are seen afterwards") {
  ThreadsRestored restored;
  for (const int team : kTeams) {
    basin::set_threads(team);
    CHECK(basin::threads() == team);
    for (const int64_t count : {0, 1, 2, 7, 1000}) {
      std::vector<int> calls(static_cast<size_t>(count), 0);
      for (int round = 0; round < 20; ++round) {
        basin::parallel_for(count, [&](int64_t i) { ++calls[static_cast<size_t>(i)]; });
      }
      CHECK(calls == std::vector<int>(static_cast<size_t>(count), 20));
    }
  }
}

TEST_CASE("parallel_chunks covers the range with the same chunks for any number of threads") {
  ThreadsRestored restored;
  for (const int team : kTeams) {
    basin::set_threads(team);
    for (const int64_t size : {0, 1, 63, 64, 65, 1000}) {
      const int64_t grain = 64;
      std::vector<std::pair<int64_t, int64_t>> chunks(static_cast<size_t>((size + 63) / 64));
      basin::parallel_chunks(size, grain, [&](int64_t begin, int64_t end) {
        chunks[static_cast<size_t>(begin / grain)] = {begin, end};
      });
      for (size_t i = 0; i < chunks.size(); ++i) {
        const auto begin = static_cast<int64_t>(i) * grain;
        CHECK(chunks[i] == std::pair(begin, std::min(size, begin + grain)));
      }
    }
  }
}

TEST_CASE("a sum of partials has the same bits for any number of threads") {
  ThreadsRestored restored;
  const auto sum = [](int team) {
    basin::set_threads(team);
    std::vector<float> partials(100, 0.0f);
    basin::parallel_chunks(10'000, 100, [&](int64_t begin, int64_t end) {
      float partial = 0;
      for (int64_t i = begin; i < end; ++i) partial += std::sin(static_cast<float>(i));
      partials[static_cast<size_t>(begin / 100)] = partial;
    });
    return std::accumulate(partials.begin(), partials.end(), 0.0f);
  };
  const float expected = sum(1);
  for (const int team : kTeams) CHECK(sum(team) == expected);
}

TEST_CASE("a number of threads out of range is refused") {
  CHECK_THROWS_AS(basin::set_threads(0), basin::Error);
  CHECK_THROWS_AS(basin::set_threads(-1), basin::Error);
}
