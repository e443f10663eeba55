// Kernels with one fault each, and kernels that only look faulty. `planted_faults NAME` runs one of
// them under every schedule and prints what came out; `planted_faults --list` prints, for each that
// this build must judge, its name and part of what that output must say. faults.cpp compares.
#include <algorithm>
#include <cstdio>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "kernels/device/kernel.h"
#include "tests/kernels/emulator/schedules.h"

using namespace basin;

namespace {

constexpr unsigned kFull = 0xFFFFFFFFu;
constexpr int kBlock = 64;

__device__ int index() {
  return static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
}

// Faults in the use of barriers and warp operations.

__global__ void barriers_in_branches(int* out) {
  if (threadIdx.x < 32) {
    __syncthreads();
  } else {
    __syncthreads();
  }
  out[index()] = 1;
}

__global__ void different_trip_counts(int* out) {
  for (unsigned i = 0; i <= threadIdx.x / 32; ++i) __syncthreads();
  out[index()] = 1;
}

__global__ void barrier_kinds_differ(int* out) {
  if (threadIdx.x % 2 == 0) {
    out[index()] = __syncthreads_and(1);
  } else {
    out[index()] = __syncthreads_or(1);
  }
}

__global__ void return_before_barrier(int* out, int size) {
  if (index() >= size) return;
  __syncthreads();
  out[index()] = 1;
}

__global__ void lane_not_in_mask(int* out) {
  out[index()] = static_cast<int>(__ballot_sync(0xFFFFFFFEu, 1));
}

__global__ void lanes_at_different_lines(int* out) {
  if (threadIdx.x % 2 == 0) {
    out[index()] = __shfl_sync(kFull, 1, 0);
  } else {
    out[index()] = __shfl_sync(kFull, 2, 0);
  }
}

__global__ void lanes_with_different_masks(int* out) {
  const unsigned mask = threadIdx.x % 32 < 16 ? kFull : 0xFFFFFFFEu;
  out[index()] = static_cast<int>(__ballot_sync(mask, 1));
}

__global__ void warp_waits_for_barrier(int* out) {
  if (threadIdx.x % 32 == 0) {
    __syncthreads();
  } else {
    __syncwarp();
  }
  out[index()] = 1;
}

__global__ void reduction_in_a_branch(float* out, int size) {
  float value = 1;
  if (index() < size) {
    for (int delta = 16; delta > 0; delta /= 2) value += __shfl_xor_sync(kFull, value, delta);
    __syncthreads();
  }
  out[index()] = value;
}

__global__ void shuffle_from_absent_lane(float* out) {
  float value = 1;
  if (threadIdx.x % 32 < 16) value = __shfl_sync(0x0000FFFFu, value, 20);
  out[index()] = value;
}

__global__ void failed_check(int* out, int size) {
  BASIN_DEVICE_CHECK(size <= 10);
  out[index()] = 1;
}

// Faults in the use of memory.

template <int kBytes>
__global__ void large_variable(int* out) {
  BASIN_SHARED(large, unsigned char[kBytes]);
  large[threadIdx.x] = 1;
  out[index()] = large[threadIdx.x];
}

__global__ void two_large_variables(int* out) {
  BASIN_SHARED(first, unsigned char[30000]);
  BASIN_SHARED(second, unsigned char[30000]);
  first[threadIdx.x] = second[threadIdx.x] = 1;
  out[index()] = first[threadIdx.x];
}

__global__ void use_dynamic(int* out, int shift) {
  BASIN_DYNAMIC_SHARED(int, values);
  values[threadIdx.x + shift] = 1;
  out[index()] = values[threadIdx.x + shift];
}

__global__ void write_past_shared(int* out) {
  BASIN_SHARED(values, int[kBlock]);
  int* const pointer = values;
  pointer[threadIdx.x + 1] = 1;
  out[index()] = 1;
}

__global__ void read_past_shared(float* out) {
  BASIN_SHARED(values, float[kBlock]);
  values[threadIdx.x] = 1;
  __syncthreads();
  const float* const pointer = values;
  out[index()] = pointer[threadIdx.x + 1];
}

__global__ void write_global(int* out) {
  out[index()] = 1;
}

__global__ void read_global(int* out, const int* in) {
  out[index()] = in[index()];
}

__global__ void write_past_local(int* out, int size) {
  int local[4] = {1, 1, 1, 1};
  for (int i = 0; i < size; ++i) local[i] += static_cast<int>(threadIdx.x);
  out[index()] = local[0] - static_cast<int>(threadIdx.x);
}

__global__ void read_vectors(float* out, const float* in) {
  const float4 value = *reinterpret_cast<const float4*>(in + 4 * index());
  out[index()] = value.x + value.y + value.z + value.w;
}

__global__ void shift_bits(int* out, int distance) {
  out[index()] = 1 << distance;
}

__global__ void round_to_integer(int* out, const float* in) {
  out[index()] = static_cast<int>(in[index()]);
}

__global__ void read_unwritten(float* out) {
  BASIN_SHARED(values, float[kBlock]);
  if (threadIdx.x != 7) values[threadIdx.x] = 1;
  __syncthreads();
  out[index()] = values[threadIdx.x];
}

__global__ void sum_with_atomics(const float* in, float* out) {
  atomicAdd(out, in[index()]);
}

// Races inside a block.

template <bool kBarrier>
__global__ void pass_on(int* out) {
  BASIN_SHARED(values, int[kBlock]);
  values[threadIdx.x] = 1;
  if constexpr (kBarrier) __syncthreads();
  out[index()] = values[(threadIdx.x + 33) % kBlock];
}

// One buffer for two rounds: the second round may overwrite what the first still reads.
template <bool kBarrier>
__global__ void pass_on_twice(int* out) {
  BASIN_SHARED(values, int[kBlock]);
  int value = 1;
  for (int round = 0; round < 2; ++round) {
    values[threadIdx.x] = value;
    __syncthreads();
    value = values[(threadIdx.x + 33) % kBlock];
    if constexpr (kBarrier) __syncthreads();
  }
  out[index()] = value;
}

// kMask: the lanes that meet between writing and reading; 0: none.
template <unsigned kMask>
__global__ void pass_on_in_warp(int* out) {
  BASIN_SHARED(values, int[kBlock]);
  values[threadIdx.x] = 1;
  if constexpr (kMask != 0) __syncwarp(kMask);
  out[index()] = values[threadIdx.x ^ 1];
}

__global__ void shuffle_as_fence(int* out) {
  BASIN_SHARED(values, int[kBlock]);
  values[threadIdx.x] = 1;
  __shfl_sync(kFull, 1, 0);
  out[index()] = values[threadIdx.x ^ 1];
}

// Each half of a warp meets for itself; kCross: and reads what the other half wrote.
template <bool kCross>
__global__ void halves_meet(int* out) {
  BASIN_SHARED(values, int[kBlock]);
  values[threadIdx.x] = 1;
  __syncwarp(threadIdx.x % 32 < 16 ? 0x0000FFFFu : 0xFFFF0000u);
  out[index()] = values[threadIdx.x ^ (kCross ? 16 : 1)];
}

__global__ void write_neighbour(int* out) {
  out[index()] = 1;
  out[blockIdx.x * blockDim.x + (threadIdx.x + 1) % blockDim.x] = 1;
}

// Races between blocks.

__global__ void blocks_write_one_place(int* out) {
  if (threadIdx.x == 0) out[0] = 1;
  out[1 + index()] = 1;
}

// Each block writes its column; neighbours along y write the same.
__global__ void rows_write_one_place(int* out) {
  out[blockIdx.x * blockDim.x + threadIdx.x] = 1;
}

__global__ void plain_and_atomic(int* out) {
  if (index() == 0) {
    out[0] = 1;
  } else if (threadIdx.x == 0) {
    atomicMax(&out[0], 1);
  }
}

// The block that comes last adds up what all blocks have written.
enum class Fence { kNone, kBlock, kDevice };
template <Fence kBefore, Fence kAfter>
__global__ void last_block_sums(int* partial, unsigned* counter, int* out) {
  BASIN_SHARED(last, bool);
  if (threadIdx.x == 0) {
    partial[blockIdx.x] = static_cast<int>(blockIdx.x) + 1;
    if constexpr (kBefore == Fence::kBlock) __threadfence_block();
    if constexpr (kBefore == Fence::kDevice) __threadfence();
    last = atomicInc(counter, gridDim.x - 1) == gridDim.x - 1;
    if constexpr (kAfter == Fence::kBlock) __threadfence_block();
    if constexpr (kAfter == Fence::kDevice) __threadfence();
  }
  __syncthreads();
  if (last && threadIdx.x == 0) {
    int sum = 0;
    for (unsigned i = 0; i < gridDim.x; ++i) sum += partial[i];
    *out = sum;
  }
}

// The thread of a block that comes last adds up what its threads have written.
template <bool kFence>
__global__ void last_thread_sums(int* out) {
  BASIN_SHARED(values, int[kBlock]);
  BASIN_SHARED(counter, unsigned);
  if (threadIdx.x == 0) counter = 0;
  __syncthreads();
  values[threadIdx.x] = 1;
  if constexpr (kFence) __threadfence_block();
  const bool last = atomicInc(&counter, kBlock - 1) == kBlock - 1;
  if constexpr (kFence) __threadfence_block();
  if (last) {
    int sum = 0;
    for (int i = 0; i < kBlock; ++i) sum += values[i];
    out[blockIdx.x] = sum;
  }
}

// Kernels that look faulty but are correct.

__global__ void leave_and_vote(int* out) {
  if (threadIdx.x % 32 >= 20) return;
  out[index()] = __popc(__ballot_sync(kFull, 1)) == 20;
}

__global__ void leave_before_the_end(int* out, int size) {
  if (index() >= size) return;
  out[index()] = 1;
}

__global__ void branches_of_halves(int* out) {
  int value = 1;
  if (threadIdx.x % 32 < 16) {
    value = __shfl_xor_sync(0x0000FFFFu, value, 1);
  } else {
    value = __shfl_xor_sync(0xFFFF0000u, value, 2);
  }
  out[index()] = value;
}

__global__ void two_buffers(int* out) {
  BASIN_SHARED(values, int[2][kBlock]);
  int value = 1;
  for (int round = 0; round < 6; ++round) {
    values[round % 2][threadIdx.x] = value;
    __syncthreads();  // one for each round is enough: the other buffer is written next
    value = values[round % 2][(threadIdx.x + 33) % kBlock];
  }
  out[index()] = value;
}

__global__ void count_in_shared(int* out) {
  BASIN_SHARED(counter, int);
  if (threadIdx.x == 0) counter = 0;
  __syncthreads();
  atomicAdd(&counter, 1);
  __syncthreads();
  out[index()] = counter == static_cast<int>(blockDim.x);
}

// Exactly as large as asked for, so that AddressSanitizer sees the next byte.
template <class T>
std::unique_ptr<T[]> buffer(size_t size, T value = T()) {
  std::unique_ptr<T[]> values(new T[size]);
  std::fill_n(values.get(), size, value);
  return values;
}

// Launches kernel(out, arguments...) with `blocks` blocks, after which out must be 1 everywhere.
template <class T, class... Parameters, class... Arguments>
std::string expect_ones(void (*kernel)(T*, Parameters...), unsigned blocks, size_t shared_bytes,
                        Arguments... arguments) {
  const auto out = buffer<T>(blocks * kBlock, T(1));
  launch(kernel, blocks, kBlock, shared_bytes, nullptr, out.get(), arguments...);
  const bool right =
      std::all_of(out.get(), out.get() + blocks * kBlock, [](T value) { return value == T(1); });
  return right ? "" : "wrong values";
}

// The same as a case.
template <auto kKernel, unsigned kBlocks = 1, size_t kSharedBytes = 0, int... kArguments>
std::string ones() {
  return expect_ones(kKernel, kBlocks, kSharedBytes, kArguments...);
}

template <Fence kBefore, Fence kAfter>
std::string last_block() {
  const auto partial = buffer<int>(8);
  unsigned counter = 0;
  int sum = 0;
  launch(last_block_sums<kBefore, kAfter>, 8, 32, 0, nullptr, partial.get(), &counter, &sum);
  return sum == 36 ? "" : "wrong values";
}

template <bool kFence>
std::string last_thread() {
  int sums[4] = {};
  launch(last_thread_sums<kFence>, 4, kBlock, 0, nullptr, sums);
  return std::all_of(sums, sums + 4, [](int sum) { return sum == kBlock; }) ? "" : "wrong values";
}

// Launches kernel(out) with `size` zeros to write to, whatever it writes.
std::string no_values(void (*kernel)(int*), dim3 grid, size_t size) {
  const auto out = buffer<int>(size);
  launch(kernel, grid, kBlock, 0, nullptr, out.get());
  return "";
}

std::string launch_empty(dim3 grid, dim3 block, size_t shared_bytes) {
  int out = 0;
  launch(write_global, grid, block, shared_bytes, nullptr, &out);
  return "";
}

// The bits of a sum of floats over blocks; compared between schedules.
std::string sum_in_any_order() {
  const auto in = buffer<float>(8 * kBlock);
  for (int i = 0; i < 8 * kBlock; ++i)
    in[static_cast<size_t>(i)] = 1.0f / static_cast<float>(i + 1);
  float sum = 0;
  launch(sum_with_atomics, 8, kBlock, 0, nullptr, in.get(), &sum);
  return "sum " + std::to_string(__float_as_uint(sum));
}

// Part of what is printed when the fault is found: by a plain build, under AddressSanitizer and
// UndefinedBehaviorSanitizer, under ThreadSanitizer. Null: that build cannot find it. Empty:
// nothing is printed.
struct Expected {
  const char *plain, *asan, *tsan;
};
// What the emulator itself finds, it finds in every build.
constexpr Expected always(const char* text) {
  return {text, text, text};
}
constexpr Expected under_asan(const char* text) {
  return {nullptr, text, nullptr};
}
constexpr Expected kRace{nullptr, nullptr, "ThreadSanitizer: data race"};
constexpr Expected kSilent = always("");

struct Case {
  const char* name;
  Expected expected;
  std::string (*run)();  // returns what is wrong with the results; "": nothing
};

const Case kCases[] = {
    // Launches.
    {"block_too_large", always("a block of 32x33x1 threads; CUDA allows 1024"),
     [] { return launch_empty(1, dim3(32, 33), 0); }},
    {"block_too_deep",
     always("a block of 1x1x65 threads; CUDA allows 1024 threads, and 64 along z"),
     [] { return launch_empty(1, dim3(1, 1, 65), 0); }},
    {"block_empty", always("a block of 1x0x1 threads is empty"),
     [] { return launch_empty(1, dim3(1, 0), 0); }},
    {"grid_empty", always("a grid of 0x1x1 blocks is empty"), [] { return launch_empty(0, 1, 0); }},
    {"grid_too_high", always("a grid of 1x65536x1 blocks; CUDA allows"),
     [] { return launch_empty(dim3(1, 65536), 1, 0); }},
    {"dynamic_too_large", always("232449 bytes of dynamic shared memory; a block has 232448"),
     [] { return launch_empty(1, 1, 227 * 1024 + 1); }},
    {"static_too_large", always("exceed 48 KiB; take BASIN_DYNAMIC_SHARED (large)"),
     ones<large_variable<49153>>},
    {"statics_too_large", always("exceed 48 KiB; take BASIN_DYNAMIC_SHARED (second)"),
     ones<two_large_variables>},
    {"shared_too_large", always("more than 227 KiB of shared memory (large)"),
     ones<large_variable<2048>, 1, 226 * 1024>},
    {"dynamic_not_asked", always("dynamic shared memory that its launch did not ask for"),
     ones<use_dynamic, 1, 0, 0>},
    // Barriers and warps.
    {"barriers_in_branches", always("threads of one block wait at different barriers"),
     ones<barriers_in_branches>},
    {"different_trip_counts", always("has ended"), ones<different_trip_counts>},
    {"barrier_kinds_differ", always("threads of one block wait at different barriers"),
     ones<barrier_kinds_differ>},
    {"return_before_barrier", always("has ended"), ones<return_before_barrier, 2, 0, 100>},
    {"lane_not_in_mask", always("a lane is not in its own mask"), ones<lane_not_in_mask>},
    {"lanes_at_different_lines", always("lanes that one mask names wait at different operations"),
     ones<lanes_at_different_lines>},
    {"lanes_with_different_masks", always("lanes come to one warp operation with different masks"),
     ones<lanes_with_different_masks>},
    {"warp_waits_for_barrier", always("a warp operation waits for a lane that waits at a barrier"),
     ones<warp_waits_for_barrier>},
    {"reduction_in_a_branch", always("has ended"), ones<reduction_in_a_branch, 1, 0, 40>},
    {"shuffle_from_absent_lane", always("wrong values"), ones<shuffle_from_absent_lane>},
    {"failed_check", always("a check in the kernel failed (size <= 10)"),
     ones<failed_check, 1, 0, 11>},
    // Memory.
    {"write_past_shared",
     {"written past the end of a variable in shared memory (values)", "use-after-poison",
      "written past the end"},
     ones<write_past_shared>},
    {"read_past_shared",
     {"wrong values", "use-after-poison", "wrong values"},
     ones<read_past_shared>},
    {"write_past_dynamic",
     {"written past the end of a variable in shared memory (dynamic shared memory)",
      "use-after-poison", "written past the end"},
     ones<use_dynamic, 1, kBlock * sizeof(int), 1>},
    {"write_past_global", under_asan("heap-buffer-overflow"),
     [] { return no_values(write_global, 2, 100); }},
    {"read_past_global", under_asan("heap-buffer-overflow"),
     [] {
       const auto in = buffer<int>(100, 1);
       return expect_ones(read_global, 2, 0, in.get());
     }},
    {"read_freed", under_asan("heap-use-after-free"),
     [] {
       auto in = buffer<int>(kBlock, 1);
       const int* volatile hidden = in.get();  // else the compiler warns of the fault
       in.reset();
       const int* const pointer = hidden;
       return expect_ones(read_global, 1, 0, pointer);
     }},
    {"write_past_local", under_asan("runtime error: "), ones<write_past_local, 1, 0, 5>},
    {"misaligned_vector", under_asan("misaligned address"),
     [] {
       const auto in = buffer<float>(4 * kBlock + 4, 0.25f);
       const size_t away = reinterpret_cast<uintptr_t>(in.get()) % 16 == 0 ? 1 : 0;
       return expect_ones(read_vectors, 1, 0, in.get() + away);
     }},
    {"shift_too_far", under_asan("shift exponent 32 is too large"), ones<shift_bits, 1, 0, 32>},
    {"float_too_large", under_asan("outside the range of representable values"),
     [] {
       const auto in = buffer<float>(kBlock, 1);
       in[5] = 3e9f;
       return expect_ones(round_to_integer, 1, 0, in.get());
     }},
    {"read_unwritten", always("wrong values"), ones<read_unwritten>},
    {"order_of_a_sum", always("the schedules differ"), sum_in_any_order},
    // Races.
    {"missing_barrier_before_read", kRace, ones<pass_on<false>>},
    {"missing_barrier_before_write", kRace, ones<pass_on_twice<false>>},
    {"missing_syncwarp", kRace, ones<pass_on_in_warp<0>>},
    {"shuffle_as_fence", kRace, ones<shuffle_as_fence>},
    {"halves_read_across", kRace, ones<halves_meet<true>>},
    {"race_in_global_memory", kRace, ones<write_neighbour>},
    {"blocks_write_one_place", kRace,
     [] { return no_values(blocks_write_one_place, 2, 1 + 2 * kBlock); }},
    {"rows_write_one_place", kRace,
     [] { return no_values(rows_write_one_place, dim3(2, 2), 2 * kBlock); }},
    {"plain_and_atomic", kRace,
     [] {
       int out = 0;
       launch(plain_and_atomic, 2, kBlock, 0, nullptr, &out);
       return std::string(out == 1 ? "" : "wrong values");
     }},
    {"missing_threadfence", kRace, last_block<Fence::kNone, Fence::kDevice>},
    {"missing_second_threadfence", kRace, last_block<Fence::kDevice, Fence::kNone>},
    {"threadfence_of_block_only", kRace, last_block<Fence::kBlock, Fence::kBlock>},
    {"missing_threadfence_block", kRace, last_thread<false>},
    // Correct, though they may not look so.
    {"right_last_block", kSilent, last_block<Fence::kDevice, Fence::kDevice>},
    {"right_last_thread", kSilent, last_thread<true>},
    {"right_leave_and_vote", kSilent, ones<leave_and_vote>},
    {"right_leave_before_the_end", kSilent, ones<leave_before_the_end, 2, 0, 100>},
    {"right_branches_of_halves", kSilent, ones<branches_of_halves, 2>},
    {"right_halves_meet", kSilent, ones<halves_meet<false>, 2>},
    {"right_two_buffers", kSilent, ones<two_buffers, 2>},
    {"right_count_in_shared", kSilent, ones<count_in_shared, 5>},
    {"right_barrier_before_read", kSilent, ones<pass_on<true>, 5>},
    {"right_barrier_before_write", kSilent, ones<pass_on_twice<true>, 5>},
    {"right_syncwarp", kSilent, ones<pass_on_in_warp<kFull>, 5>},
    {"right_dynamic", kSilent, ones<use_dynamic, 5, kBlock * sizeof(int), 0>},
    {"right_large_block", kSilent, ones<large_variable<49152>, 3, (227 - 48) * 1024>},
};

}  // namespace

int main(int argc, char** argv) {
  const std::string wanted = argc == 2 ? argv[1] : "";
  if (wanted == "--list") {
    for (const auto& [name, expected, run] : kCases) {
#if defined(__SANITIZE_ADDRESS__)
      const char* const text = expected.asan;
#elif defined(__SANITIZE_THREAD__)
      const char* const text = expected.tsan;
#else
      const char* const text = expected.plain;
#endif
      if (text) std::printf("%s\t%s\n", name, text);
    }
    return 0;
  }
  const Case* const found = std::find_if(std::begin(kCases), std::end(kCases),
                                         [&](const Case& one) { return one.name == wanted; });
  if (found == std::end(kCases)) {
    std::fprintf(stderr, "usage: planted_faults --list | NAME\n");
    return 2;
  }
  std::string first;
  for (const test::Schedule& schedule : test::schedules()) {
    const emulator::ScopedOptions scope(schedule.options);
    std::string result;
    try {
      result = found->run();
    } catch (const Error& error) {
      result = std::string("error: ") + error.what();
    }
    if (first.empty()) first = result;
    // Which thread finds a fault depends on the schedule; that one does, must not.
    if (result != first && !(result.starts_with("error: ") && first.starts_with("error: "))) {
      result = "the schedules differ: " + result;
    }
    std::printf("%s: %s\n", schedule.name.c_str(), result.c_str());
    std::fflush(stdout);
  }
  return 0;
}
