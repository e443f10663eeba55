// What the emulator promises a kernel: each thread runs once, barriers, warp operations, atomics,
// shared memory, the order of turns. Faults are in faults.cpp.
#include <doctest/doctest.h>

#include <algorithm>
#include <cstdint>
#include <numeric>
#include <set>
#include <string>
#include <vector>

#include "kernels/device/kernel.h"
#include "tests/kernels/emulator/schedules.h"
#include "tests/support/errors.h"

using namespace basin;
using namespace basin::test;

namespace {

// Under ThreadSanitizer each thread of a block costs time on each worker.
#ifdef __SANITIZE_THREAD__
constexpr int kLargestBlock = 256;
constexpr int kWorkers[] = {2};
#else
constexpr int kLargestBlock = 1024;
constexpr int kWorkers[] = {1, 2, 3};
#endif

// action() under every schedule, with each number of workers.
template <class Action>
void under_all_schedules(const Action& action) {
  for (const Schedule& schedule : schedules()) {
    for (int workers : kWorkers) {
      emulator::Options options = schedule.options;
      options.workers = workers;
      const emulator::ScopedOptions scope(options);
      INFO(schedule.name, ", ", workers, " workers");
      action();
    }
  }
}

__device__ int linear_thread() {
  return static_cast<int>(threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z));
}
__device__ int64_t linear_block() {
  return blockIdx.x + int64_t{gridDim.x} * (blockIdx.y + int64_t{gridDim.y} * blockIdx.z);
}

__global__ void count_visits(int* visits) {
  const int64_t threads = blockDim.x * blockDim.y * blockDim.z;
  ++visits[linear_block() * threads + linear_thread()];
}

// Passes values to the neighbour, `rounds` times, through two buffers in turn.
__global__ void rotate(int* values, int rounds) {
  BASIN_SHARED(buffers, int[2][1024]);
  const int i = linear_thread(), size = static_cast<int>(blockDim.x);
  const int64_t at = linear_block() * size + i;
  int value = values[at];
  for (int round = 0; round < rounds; ++round) {
    buffers[round % 2][i] = value;
    __syncthreads();
    value = buffers[round % 2][(i + 1) % size];
  }
  values[at] = value;
}

__global__ void vote(const int* input, int* counts, int* all, int* any) {
  const int i = linear_thread();
  counts[i] = __syncthreads_count(input[i]);
  all[i] = __syncthreads_and(input[i]);
  any[i] = __syncthreads_or(input[i]);
}

struct Shuffled {
  float indexed, up, down, exchanged;
};
__global__ void shuffle_lanes(Shuffled* out, int parameter, int width) {
  const auto lane = static_cast<float>(linear_thread());
  const unsigned full = 0xFFFFFFFFu;
  out[linear_thread()] = {__shfl_sync(full, lane, parameter, width),
                          __shfl_up_sync(full, lane, static_cast<unsigned>(parameter), width),
                          __shfl_down_sync(full, lane, static_cast<unsigned>(parameter), width),
                          __shfl_xor_sync(full, lane, parameter, width)};
}

__global__ void shuffle_wide(int64_t* whole, double* real, unsigned char* small) {
  const int i = linear_thread();
  whole[i] = __shfl_xor_sync(0xFFFFFFFFu, int64_t{i} << 40, 1);
  real[i] = __shfl_sync(0xFFFFFFFFu, i + 0.1, 3);
  small[i] = __shfl_down_sync(0xFFFFFFFFu, static_cast<unsigned char>(200 + i % 32), 1u);
}

__global__ void vote_in_warps(unsigned* ballots, int* any, int* all) {
  const int i = linear_thread(), lane = i % 32;
  const unsigned evens = 0x55555555u, mask = lane % 2 == 0 ? evens : ~evens;
  ballots[i] = __ballot_sync(mask, lane >= 16);
  any[i] = __any_sync(mask, lane == 5);
  all[i] = __all_sync(mask, lane < 31);
}

// The first lanes leave; the others name all lanes.
__global__ void leave_early(int* out, int leaving) {
  const int i = linear_thread();
  if (i % 32 < leaving) return;
  out[i] = static_cast<int>(__ballot_sync(0xFFFFFFFFu, 1));
}

// Halves of a warp at different lines.
__global__ void halves(int* out) {
  const int i = linear_thread(), lane = i % 32;
  if (lane < 16) {
    out[i] = __shfl_xor_sync(0x0000FFFFu, i, 1);
    out[i] += __shfl_xor_sync(0x0000FFFFu, i, 2);
  } else {
    out[i] = __shfl_xor_sync(0xFFFF0000u, i, 8);
  }
}

__global__ void use_atomics(int* sum, unsigned* unsigned_sum, float* float_sum, int* largest,
                            unsigned* wrapped, unsigned* bits, unsigned long long* wide) {
  const int i = linear_thread() + static_cast<int>(linear_block() * blockDim.x);
  atomicAdd(sum, i);
  atomicAdd(unsigned_sum, 2u);
  atomicAdd(float_sum, 0.5f);
  atomicMax(largest, i * 7 % 1000);
  atomicInc(wrapped, 9);
  unsigned old = 0, seen;  // a guess: a plain read would race
  do {                     // or, by compare and swap
    seen = old;
    old = atomicCAS(bits, seen, seen | 1u << i % 32);
  } while (old != seen);
  atomicAdd(wide, 1ull << 33);
}

struct SharedProbe {
  uint32_t bits, integers, dynamic_bits;
  int distance;
};
__global__ void probe_shared(SharedProbe* out, int* sums) {
  BASIN_SHARED(number, float);
  BASIN_SHARED(integers, int[3]);
  BASIN_DYNAMIC_SHARED(float, dynamic);
  const int i = linear_thread();
  if (i == 0) {
    out[linear_block()] = {__float_as_uint(number), static_cast<uint32_t>(integers[2]),
                           __float_as_uint(dynamic[4]),
                           static_cast<int>(reinterpret_cast<uintptr_t>(&dynamic[0]) % 16)};
  }
  __syncthreads();
  if (i == 0) {
    number = 1;
    integers[2] = static_cast<int>(linear_block());
    dynamic[4] = 3;
  }
  __syncthreads();
  sums[linear_block() * blockDim.x + i] = static_cast<int>(number + integers[2] + dynamic[4]);
}

__global__ void note_turn(unsigned* next, unsigned* turns) {
  turns[linear_block() * blockDim.x + linear_thread()] = atomicAdd(next, 1u);
}

__global__ void do_nothing() {}
__global__ void add_numbers(int* out, int a, float b, int64_t c) {
  *out = a + static_cast<int>(b) + static_cast<int>(c);
}
__global__ void stop_where(int thread, int* out) {
  BASIN_DEVICE_CHECK(linear_thread() != thread);
  __syncthreads();
  out[linear_thread()] = 1;
}
__global__ void miss_barrier(int* out, int ending) {
  const int i = linear_thread();
  if (i < ending) return;
  out[i] = __syncthreads_count(1);
}

}  // namespace

TEST_CASE("every thread of every block runs once, with its own indices") {
  const dim3 grids[] = {dim3(1), dim3(7), dim3(3, 2), dim3(2, 3, 4)};
  const dim3 blocks[] = {dim3(1), dim3(31), dim3(33), dim3(8, 4, 2), dim3(5, 3), dim3(256)};
  under_all_schedules([&] {
    for (dim3 grid : grids) {
      for (dim3 block : blocks) {
        std::vector<int> visits(grid.x * grid.y * grid.z * block.x * block.y * block.z, 0);
        launch(count_visits, grid, block, 0, nullptr, visits.data());
        CHECK(std::all_of(visits.begin(), visits.end(), [](int count) { return count == 1; }));
      }
    }
  });
}

TEST_CASE("barriers: what is written before is read after, in each round") {
  under_all_schedules([] {
    for (int block : {1, 2, 31, 32, 33, 64, 100, kLargestBlock}) {
      constexpr int kBlocks = 3, kRounds = 5;
      std::vector<int> values(static_cast<size_t>(kBlocks * block));
      std::iota(values.begin(), values.end(), 0);
      launch(rotate, kBlocks, static_cast<unsigned>(block), 0, nullptr, values.data(), kRounds);
      int wrong = 0;
      for (int i = 0; i < kBlocks * block; ++i) {
        wrong +=
            values[static_cast<size_t>(i)] != i / block * block + (i % block + kRounds) % block;
      }
      CHECK(wrong == 0);
    }
  });
}

TEST_CASE("votes at barriers") {
  under_all_schedules([] {
    for (int yes : {0, 1, 50, 99, 100}) {
      std::vector<int> input(100, 0), counts(100), all(100), any(100);
      std::fill_n(input.begin(), yes, 7);
      launch(vote, 1, 100, 0, nullptr, input.data(), counts.data(), all.data(), any.data());
      for (size_t i = 0; i < 100; ++i) {
        CHECK(counts[i] == yes);
        CHECK((all[i] != 0) == (yes == 100));
        CHECK((any[i] != 0) == (yes > 0));
      }
    }
  });
}

// The CUDA programming guide: indices count within groups of `width` lanes; a lane out of the
// group's range gets its own value; __shfl_xor_sync may reach into groups before its own.
TEST_CASE("shuffles of every width and distance") {
  under_all_schedules([] {
    for (int width : {1, 2, 4, 8, 16, 32}) {
      for (int parameter : {0, 1, 2, 3, 7, 8, 15, 16, 31}) {
        std::vector<Shuffled> out(64);
        launch(shuffle_lanes, 1, 64, 0, nullptr, out.data(), parameter, width);
        int wrong = 0;
        for (int i = 0; i < 64; ++i) {
          const int lane = i % 32, warp = i - lane, group = lane / width * width;
          const auto value_of = [&](int source, bool inside) {
            return static_cast<float>(warp + (inside ? source : lane));
          };
          const Shuffled& got = out[static_cast<size_t>(i)];
          wrong += got.indexed != value_of(group + parameter % width, true);
          wrong += got.up != value_of(lane - parameter, lane - parameter >= group);
          wrong += got.down != value_of(lane + parameter, lane + parameter < group + width);
          wrong += got.exchanged != value_of(lane ^ parameter, (lane ^ parameter) < group + width);
        }
        CHECK_MESSAGE(wrong == 0, "width ", width, ", parameter ", parameter);
      }
    }
  });
}

TEST_CASE("shuffles of 8-byte and 1-byte values") {
  std::vector<int64_t> whole(32);
  std::vector<double> real(32);
  std::vector<unsigned char> small(32);
  launch(shuffle_wide, 1, 32, 0, nullptr, whole.data(), real.data(), small.data());
  for (size_t i = 0; i < 32; ++i) {
    CHECK(whole[i] == static_cast<int64_t>(i ^ 1) << 40);
    CHECK(real[i] == 3.1);
    CHECK(small[i] == 200 + (i < 31 ? i + 1 : i));
  }
}

TEST_CASE("a shuffle from a lane that does not take part gives all bits set") {
  std::vector<Shuffled> out(40);  // the second warp has 8 lanes
  launch(shuffle_lanes, 1, 40, 0, nullptr, out.data(), 8, 32);
  for (int i = 32; i < 40; ++i) {
    const Shuffled& got = out[static_cast<size_t>(i)];
    CHECK(got.indexed != got.indexed);
    CHECK(got.down != got.down);
    CHECK(got.exchanged != got.exchanged);
    CHECK(got.up == static_cast<float>(i));
  }
}

TEST_CASE("votes in warps, by mask") {
  under_all_schedules([] {
    std::vector<unsigned> ballots(64);
    std::vector<int> any(64), all(64);
    launch(vote_in_warps, 1, 64, 0, nullptr, ballots.data(), any.data(), all.data());
    for (size_t i = 0; i < 64; ++i) {
      CHECK(ballots[i] == (i % 2 == 0 ? 0x55550000u : 0xAAAA0000u));
      CHECK((any[i] != 0) == (i % 2 == 1));
      CHECK((all[i] != 0) == (i % 2 == 0));
    }
  });
}

TEST_CASE("lanes that have ended are not waited for, and halves of a warp may diverge") {
  under_all_schedules([] {
    for (int leaving : {0, 1, 16, 31}) {
      std::vector<int> out(64, 0);
      launch(leave_early, 1, 64, 0, nullptr, out.data(), leaving);
      for (int i = 0; i < 64; ++i) {
        const unsigned want = i % 32 < leaving ? 0 : ~0u << leaving;
        CHECK(static_cast<unsigned>(out[static_cast<size_t>(i)]) == want);
      }
    }
    std::vector<int> out(64);
    launch(halves, 1, 64, 0, nullptr, out.data());
    for (int i = 0; i < 64; ++i) {
      const int want = i % 32 < 16 ? (i ^ 1) + (i ^ 2) : i ^ 8;
      CHECK(out[static_cast<size_t>(i)] == want);
    }
  });
}

TEST_CASE("atomics from all threads of all blocks") {
  under_all_schedules([] {
    int sum = 0, largest = -1;
    unsigned unsigned_sum = 0, wrapped = 0, bits = 0;
    float float_sum = 0;
    unsigned long long wide = 0;
    launch(use_atomics, 5, 64, 0, nullptr, &sum, &unsigned_sum, &float_sum, &largest, &wrapped,
           &bits, &wide);
    constexpr int kThreads = 5 * 64;
    CHECK(sum == kThreads * (kThreads - 1) / 2);
    CHECK(unsigned_sum == 2 * kThreads);
    CHECK(float_sum == kThreads / 2);
    int want = 0;
    for (int i = 0; i < kThreads; ++i) want = std::max(want, i * 7 % 1000);
    CHECK(largest == want);
    CHECK(wrapped == kThreads % 10);
    CHECK(bits == 0xFFFFFFFFu);
    CHECK(wide == static_cast<unsigned long long>(kThreads) << 33);
  });
}

TEST_CASE("each block has its own shared memory, which reads as NaN until it is written") {
  under_all_schedules([] {
    constexpr int kBlocks = 6, kThreads = 33;
    std::vector<SharedProbe> probes(kBlocks);
    std::vector<int> sums(kBlocks * kThreads);
    launch(probe_shared, kBlocks, kThreads, 5 * sizeof(float), nullptr, probes.data(), sums.data());
    for (const SharedProbe& probe : probes) {
      CHECK(probe.bits == 0xFFFFFFFFu);
      CHECK(probe.integers == 0xFFFFFFFFu);
      CHECK(probe.dynamic_bits == 0xFFFFFFFFu);
      CHECK(probe.distance == 0);
    }
    int wrong = 0;
    for (int i = 0; i < kBlocks * kThreads; ++i) {
      wrong += sums[static_cast<size_t>(i)] != 4 + i / kThreads;
    }
    CHECK(wrong == 0);
  });
}

TEST_CASE("turns are taken in the order of the schedule") {
  const auto turns_of = [](emulator::Order order, uint64_t seed) {
    emulator::Options options;
    options.order = order;
    options.seed = seed;
    options.workers = 1;
    const emulator::ScopedOptions scope(options);
    unsigned next = 0;
    std::vector<unsigned> turns(4 * 70);
    launch(note_turn, 4, 70, 0, nullptr, &next, turns.data());
    return turns;
  };
  using emulator::Order;
  const std::vector<unsigned> linear = turns_of(Order::kLinear, 0);
  const std::vector<unsigned> reverse = turns_of(Order::kReverse, 0);
  const std::vector<unsigned> warps = turns_of(Order::kWarpsReversed, 0);
  for (unsigned i = 0; i < linear.size(); ++i) {
    CHECK(linear[i] == i);
    CHECK(reverse[i] == linear.size() - 1 - i);
    const unsigned thread = i % 70;  // warps of 32, 32 and 6 lanes, the last first
    const unsigned in_block =
        thread >= 64 ? thread - 64 : (thread >= 32 ? thread - 26 : thread + 38);
    CHECK(warps[i] == 70 * (3 - i / 70) + in_block);
  }
  std::set<std::vector<unsigned>> different = {linear, reverse, warps};
  for (Order order : {Order::kRandom, Order::kGreedyWarps}) {
    for (uint64_t seed : {0, 1, 2}) {
      const std::vector<unsigned> turns = turns_of(order, seed);
      CHECK(turns == turns_of(order, seed));
      different.insert(turns);
      std::vector<unsigned> sorted = turns;
      std::sort(sorted.begin(), sorted.end());
      CHECK(sorted == linear);
    }
  }
  CHECK(different.size() == 9);
}

TEST_CASE("parameters of several types, and statistics of what was launched") {
  const emulator::Statistics before = emulator::statistics();
  int out = 0;
  launch(add_numbers, 1, 1, 0, nullptr, &out, 1, 2.5f, int64_t{3});
  CHECK(out == 6);
  for (int i = 0; i < 3; ++i) launch(do_nothing, dim3(2, 2), dim3(4, 8), 0, nullptr);
  const emulator::Statistics after = emulator::statistics();
  CHECK(after.launches - before.launches == 4);
  CHECK(after.threads - before.threads == 1 + 3 * 4 * 32);
  CHECK(after.launch_sites - before.launch_sites == 2);
}

TEST_CASE("a kernel that never waits needs one fiber for each block") {
  launch(do_nothing, 100, 256, 0, nullptr);  // the workers exist
  const emulator::Statistics before = emulator::statistics();
  launch(do_nothing, 100, 256, 0, nullptr);
#ifdef __SANITIZE_THREAD__
  constexpr int kFibers = 256;  // one for each thread of a block
#else
  constexpr int kFibers = 1;
#endif
  CHECK(emulator::statistics().switches - before.switches == 100 * kFibers);
}

TEST_CASE("after a fault the next launch works") {
  under_all_schedules([] {
    for (int i = 0; i < 20; ++i) {
      std::vector<int> out(64, 0);
      const std::string message =
          error_of([&] { launch(stop_where, 3, 64, 0, nullptr, i, out.data()); });
      CHECK_MESSAGE(contains(message, "a check in the kernel failed (linear_thread() != thread)"),
                    message);
      CHECK(contains(message, "thread (" + std::to_string(i) + ", 0, 0)"));
    }
    std::vector<int> out(64, 0);
    launch(stop_where, 1, 64, 0, nullptr, -1, out.data());
    CHECK(std::accumulate(out.begin(), out.end(), 0) == 64);
  });
}

TEST_CASE("barriers without threads that have ended: an error, unless allowed") {
  under_all_schedules([] {
    std::vector<int> out(64, 0);
    const std::string message =
        error_of([&] { launch(miss_barrier, 1, 64, 0, nullptr, out.data(), 10); });
    CHECK_MESSAGE(contains(message, "has ended"), message);
  });
  emulator::Options options;
  options.ended_threads_may_miss_barriers = true;
  for (emulator::Order order : {emulator::Order::kLinear, emulator::Order::kReverse}) {
    options.order = order;
    const emulator::ScopedOptions scope(options);
    std::vector<int> out(64, 0);
    launch(miss_barrier, 1, 64, 0, nullptr, out.data(), 10);
    for (int i = 0; i < 64; ++i) CHECK(out[static_cast<size_t>(i)] == (i < 10 ? 0 : 54));
  }
}

TEST_CASE("vector types have CUDA's sizes and alignments") {
  CHECK((sizeof(float2) == 8 && alignof(float2) == 8));
  CHECK((sizeof(float4) == 16 && alignof(float4) == 16));
  CHECK((sizeof(int2) == 8 && alignof(int2) == 8));
  CHECK((sizeof(int4) == 16 && alignof(int4) == 16));
  CHECK((sizeof(uint3) == 12 && alignof(uint3) == 4));
  CHECK((sizeof(uint4) == 16 && alignof(uint4) == 16));
  CHECK((dim3().x == 1 && dim3(5).y == 1 && dim3(5, 6).z == 1));
  CHECK(make_float4(1, 2, 3, 4).w == 4);
}

TEST_CASE("arithmetic functions") {
  const float nan = __uint_as_float(0x7FC00000u);
  CHECK(max(nan, 1.0f) == 1);
  CHECK(min(1.0f, nan) == 1);
  CHECK(max(-3, 2) == 2);
  CHECK(min(int64_t{-3}, int64_t{2}) == -3);
  CHECK(max(2.0, 3.0) == 3);
  CHECK(rsqrtf(4.0f) == 0.5f);
  CHECK(__expf(0.0f) == 1);
  CHECK(__logf(1.0f) == 0);
  CHECK(__float_as_uint(1.0f) == 0x3F800000u);
  CHECK(__popc(0xF0F0u) == 8);
  const float value = 2.5f;
  CHECK(__ldg(&value) == 2.5f);
}
