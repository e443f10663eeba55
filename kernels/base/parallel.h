// Runs loops over fixed chunks on several threads. Chunk borders never depend on the number of
// threads, so a sum of per-chunk partials, added in chunk order, has the same bits for any number
// of threads.
#pragma once

#include <algorithm>
#include <cstdint>

namespace basin {

// Number of threads the CPU kernels use, the caller included, at least 1. Call from the main
// thread, between kernels.
void set_threads(int threads);
int threads();

// Calls body(context, index) for every index in [0, count), each on one thread; returns when all
// are done. The threads take the next index when they are free, and the caller works, too: it never
// waits for a thread that the machine has no core for, only for indices already begun. The body
// must not throw. A loop inside a body, or beside another thread's loop, runs on its own thread.
void parallel_run(int64_t count, void (*body)(const void* context, int64_t index),
                  const void* context);

// Calls body(index) for every index in [0, count), each on one thread. The body must not throw.
template <class Body>
void parallel_for(int64_t count, const Body& body) {
  parallel_run(
      count,
      [](const void* context, int64_t index) { (*static_cast<const Body*>(context))(index); },
      &body);
}

// Calls body(begin, end) for consecutive chunks of `grain` indices covering [0, size).
template <class Body>
void parallel_chunks(int64_t size, int64_t grain, const Body& body) {
  const int64_t chunks = (size + grain - 1) / grain;
  parallel_for(chunks,
               [&](int64_t chunk) { body(chunk * grain, std::min(size, (chunk + 1) * grain)); });
}

}  // namespace basin
