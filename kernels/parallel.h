// Runs loops over fixed chunks on several threads. Chunk borders never depend on the number of
// threads, so a sum of per-chunk partials, added in chunk order, has the same bits for any number
// of threads.
#pragma once

#include <algorithm>
#include <cstdint>
#include <exception>
#include <vector>

#ifdef _OPENMP
#include <omp.h>
#else
#include <atomic>
#include <thread>
#endif

namespace basin {

// Number of threads the CPU kernels use, at least 1. Call from the main thread, between kernels.
void set_threads(int threads);
int threads();

// Calls body(index) for every index in [0, count), each on one thread. The body must not throw.
template <class Body>
void parallel_for(int64_t count, const Body& body) {
  const int team = static_cast<int>(std::min<int64_t>(threads(), count));
  if (team <= 1) {
    for (int64_t i = 0; i < count; ++i) body(i);
    return;
  }
#ifdef _OPENMP
#pragma omp parallel for schedule(dynamic, 1) num_threads(team)
  for (int64_t i = 0; i < count; ++i) body(i);
#else
  std::atomic<int64_t> next{0};
  auto work = [&] {
    for (int64_t i = next++; i < count; i = next++) body(i);
  };
  std::vector<std::thread> others;
  for (int t = 1; t < team; ++t) others.emplace_back(work);
  work();
  for (auto& thread : others) thread.join();
#endif
}

// Calls body(begin, end) for consecutive chunks of `grain` indices covering [0, size).
template <class Body>
void parallel_chunks(int64_t size, int64_t grain, const Body& body) {
  const int64_t chunks = (size + grain - 1) / grain;
  parallel_for(chunks,
               [&](int64_t chunk) { body(chunk * grain, std::min(size, (chunk + 1) * grain)); });
}

}  // namespace basin
