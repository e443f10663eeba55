// CUDA as a kernel file sees it, for host compilers: built-in functions and launch(). Kernels run
// as ordinary host code, with one fiber for each CUDA thread that waits: the emulated device.
// docs/kernels.md says what it checks.
#pragma once

#include <bit>
#include <cmath>
#include <cstring>
#include <tuple>
#include <type_traits>
#include <utility>

#include "kernels/base/check.h"
#include "kernels/device/declarations.h"
#include "kernels/emulator/runtime.h"
#include "kernels/emulator/types.h"

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline __attribute__((always_inline))
#define __launch_bounds__(...)
// __shared__ is left undefined: an empty macro would make the variable private to each thread.

#define BASIN_SHARED(name, ...)                                                \
  static const ::basin::emulator::SharedVariable name##_variable{              \
      #name, sizeof(__VA_ARGS__), alignof(__VA_ARGS__), {__FILE__, __LINE__}}; \
  auto& name = *static_cast<std::type_identity_t<__VA_ARGS__>*>(               \
      ::basin::emulator::shared_variable(name##_variable))
#define BASIN_COPY_16(to, from) std::memcpy(to, from, 16)
#define BASIN_DYNAMIC_SHARED(type, name) \
  type* const name = static_cast<type*>(::basin::emulator::dynamic_shared({__FILE__, __LINE__}))
#define BASIN_DEVICE_CHECK(condition)                                                    \
  do {                                                                                   \
    if (!(condition)) ::basin::emulator::failed_check(#condition, {__FILE__, __LINE__}); \
  } while (false)
#define BASIN_DEFINE_RUN(...)                   \
  template <>                                   \
  void emulated::run(const __VA_ARGS__& call) { \
    launch_call(call, nullptr);                 \
  }

namespace basin::emulator {

template <class T>
T shuffle(WarpOperation operation, unsigned mask, T value, int parameter, int width, Site site) {
  static_assert(sizeof(T) <= 8 && std::is_trivially_copyable_v<T>,
                "a shuffle moves up to 8 bytes of plain data");
  uint64_t bits = 0;
  std::memcpy(&bits, &value, sizeof(T));
  bits = warp_operation(operation, mask, bits, parameter, width, site);
  std::memcpy(&value, &bits, sizeof(T));
  return value;
}

// Atomic operations are relaxed: only a fence orders memory. ThreadSanitizer is told; without it
// there is nothing to do, as a host executes the accesses of a thread in order.

#ifdef __SANITIZE_THREAD__
constexpr bool kMemoryOrder = true;
#else
constexpr bool kMemoryOrder = false;
#endif

// operation() on `address` as CUDA orders it.
template <class Operation>
auto atomically(const void* address, const Operation& operation) {
  if constexpr (kMemoryOrder) before_atomic(address);
  const auto result = operation();
  if constexpr (kMemoryOrder) after_atomic(address);
  return result;
}

// *address = next(*address); returns what was there before.
template <class T, class Next>
T atomic_update(T* address, const Next& next) {
  return atomically(address, [&] {
    T old;
    __atomic_load(address, &old, __ATOMIC_RELAXED);
    T desired = next(old);
    while (!__atomic_compare_exchange(address, &old, &desired, false, __ATOMIC_RELAXED,
                                      __ATOMIC_RELAXED)) {
      desired = next(old);
    }
    return old;
  });
}

// CUDA's built-in functions. A default argument tells the line of the caller.
namespace built_in {

// Barriers of the block.

inline void __syncthreads(Site site = Site::here()) {
  block_barrier(BarrierKind::kSync, false, site);
}
inline int __syncthreads_count(int predicate, Site site = Site::here()) {
  return block_barrier(BarrierKind::kCount, predicate != 0, site);
}
inline int __syncthreads_and(int predicate, Site site = Site::here()) {
  return block_barrier(BarrierKind::kAnd, predicate != 0, site);
}
inline int __syncthreads_or(int predicate, Site site = Site::here()) {
  return block_barrier(BarrierKind::kOr, predicate != 0, site);
}

// Operations of a warp.

inline void __syncwarp(unsigned mask = 0xFFFFFFFFu, Site site = Site::here()) {
  warp_operation(WarpOperation::kSync, mask, 0, 0, 32, site);
}
inline unsigned __ballot_sync(unsigned mask, int predicate, Site site = Site::here()) {
  return static_cast<unsigned>(
      warp_operation(WarpOperation::kBallot, mask, predicate != 0, 0, 32, site));
}
inline int __any_sync(unsigned mask, int predicate, Site site = Site::here()) {
  return static_cast<int>(warp_operation(WarpOperation::kAny, mask, predicate != 0, 0, 32, site));
}
inline int __all_sync(unsigned mask, int predicate, Site site = Site::here()) {
  return static_cast<int>(warp_operation(WarpOperation::kAll, mask, predicate != 0, 0, 32, site));
}

template <class T>
T __shfl_sync(unsigned mask, T value, int source_lane, int width = 32, Site site = Site::here()) {
  return shuffle(WarpOperation::kShuffle, mask, value, source_lane, width, site);
}
template <class T>
T __shfl_up_sync(unsigned mask, T value, unsigned delta, int width = 32, Site site = Site::here()) {
  return shuffle(WarpOperation::kShuffleUp, mask, value, static_cast<int>(delta), width, site);
}
template <class T>
T __shfl_down_sync(unsigned mask, T value, unsigned delta, int width = 32,
                   Site site = Site::here()) {
  return shuffle(WarpOperation::kShuffleDown, mask, value, static_cast<int>(delta), width, site);
}
template <class T>
T __shfl_xor_sync(unsigned mask, T value, int lane_mask, int width = 32, Site site = Site::here()) {
  return shuffle(WarpOperation::kShuffleXor, mask, value, lane_mask, width, site);
}

// Fences and atomic operations.

inline void __threadfence() {
  if constexpr (kMemoryOrder) fence(true);
}
inline void __threadfence_block() {
  if constexpr (kMemoryOrder) fence(false);
}

// T: int, unsigned, unsigned long long, float or double. Returns the value before.
template <class T>
T atomicAdd(T* address, std::type_identity_t<T> value) {
  return atomic_update(address, [&](T old) { return static_cast<T>(old + value); });
}
template <class T>
T atomicMax(T* address, std::type_identity_t<T> value) {
  static_assert(std::is_integral_v<T>, "CUDA has atomicMax for integers only");
  return atomic_update(address, [&](T old) { return old > value ? old : value; });
}
template <class T>
T atomicCAS(T* address, std::type_identity_t<T> compare, std::type_identity_t<T> value) {
  static_assert(std::is_integral_v<T>, "CUDA has atomicCAS for integers only");
  return atomically(address, [&] {
    T old = compare;
    __atomic_compare_exchange_n(address, &old, value, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
    return old;
  });
}
// Counts up to `limit` and starts again at 0.
inline unsigned atomicInc(unsigned* address, unsigned limit) {
  return atomic_update(address, [&](unsigned old) { return old >= limit ? 0 : old + 1; });
}

// Arithmetic. The fast variants are exact here.

inline float rsqrtf(float x) {
  return 1.0f / std::sqrt(x);
}
// As in CUDA, the larger (smaller) of two floating-point numbers ignores NaN.
inline float max(float a, float b) {
  return std::fmax(a, b);
}
inline float min(float a, float b) {
  return std::fmin(a, b);
}
inline double max(double a, double b) {
  return std::fmax(a, b);
}
inline double min(double a, double b) {
  return std::fmin(a, b);
}
template <class T>
requires std::is_integral_v<T>
constexpr T max(T a, T b) {
  return a < b ? b : a;
}
template <class T>
requires std::is_integral_v<T>
constexpr T min(T a, T b) {
  return b < a ? b : a;
}
inline unsigned __float_as_uint(float x) {
  return std::bit_cast<unsigned>(x);
}
inline float __uint_as_float(unsigned x) {
  return std::bit_cast<float>(x);
}
inline int __popc(unsigned x) {
  return std::popcount(x);
}
template <class T>
T __ldg(const T* address) {
  return *address;
}

}  // namespace built_in
}  // namespace basin::emulator
using namespace basin::emulator::built_in;

// glibc declares functions of these names.
#define __expf(x) ::expf(x)
#define __logf(x) ::logf(x)

namespace basin {

using emulator::shared_memory_limit;

namespace emulator {

// The number of blocks, and the line of the launch(...) that names it.
struct Grid {
  template <class Size>
  requires std::is_convertible_v<Size, dim3> Grid(Size size_, Site site_ = Site::here())
      : size(size_), site(site_) {}
  dim3 size;
  Site site;
};

}  // namespace emulator

// Runs kernel(arguments...) as grid x block CUDA threads; returns when all have ended. Throws Error
// for a launch that CUDA would not take, and for faults of the kernel.
template <class... Parameters, class... Arguments>
void launch(void (*kernel)(Parameters...), emulator::Grid grid, dim3 block, size_t shared_bytes,
            StreamHandle, Arguments&&... arguments) {
  static_assert((std::is_trivially_copyable_v<Parameters> && ...),
                "parameters of a kernel are copied as bytes");
  static_assert((0 + ... + sizeof(Parameters)) <= 32764, "CUDA passes at most 32764 bytes");
  struct Invocation {
    void (*kernel)(Parameters...);
    std::tuple<Parameters...> arguments;
  };
  const Invocation invocation{kernel, {static_cast<Parameters>(arguments)...}};
  emulator::run_launch({[](const void* pointer) {
                          const auto& [function, values] = *static_cast<const Invocation*>(pointer);
                          std::apply(function, values);
                        },
                        &invocation, grid.size, block, shared_bytes, grid.site});
}

}  // namespace basin
