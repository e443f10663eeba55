// CUDA as a kernel file sees it, for host compilers: built-in variables and functions, and
// launch(). Kernels run as ordinary host code, one fiber for each CUDA thread that waits: the
// emulated device. docs/kernels.md says what it checks.
#pragma once

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

// Barriers of the block.

inline void __syncthreads(basin::emulator::Site site = basin::emulator::Site::here()) {
  basin::emulator::block_barrier(basin::emulator::BarrierKind::kSync, false, site);
}
inline int __syncthreads_count(int predicate,
                               basin::emulator::Site site = basin::emulator::Site::here()) {
  return basin::emulator::block_barrier(basin::emulator::BarrierKind::kCount, predicate != 0, site);
}
inline int __syncthreads_and(int predicate,
                             basin::emulator::Site site = basin::emulator::Site::here()) {
  return basin::emulator::block_barrier(basin::emulator::BarrierKind::kAnd, predicate != 0, site);
}
inline int __syncthreads_or(int predicate,
                            basin::emulator::Site site = basin::emulator::Site::here()) {
  return basin::emulator::block_barrier(basin::emulator::BarrierKind::kOr, predicate != 0, site);
}

// Operations of a warp.

inline void __syncwarp(unsigned mask = 0xFFFFFFFFu,
                       basin::emulator::Site site = basin::emulator::Site::here()) {
  basin::emulator::warp_operation(basin::emulator::WarpOperation::kSync, mask, 0, 0, 32, site);
}
inline unsigned __ballot_sync(unsigned mask, int predicate,
                              basin::emulator::Site site = basin::emulator::Site::here()) {
  return static_cast<unsigned>(basin::emulator::warp_operation(
      basin::emulator::WarpOperation::kBallot, mask, predicate != 0, 0, 32, site));
}
inline int __any_sync(unsigned mask, int predicate,
                      basin::emulator::Site site = basin::emulator::Site::here()) {
  return static_cast<int>(basin::emulator::warp_operation(basin::emulator::WarpOperation::kAny,
                                                          mask, predicate != 0, 0, 32, site));
}
inline int __all_sync(unsigned mask, int predicate,
                      basin::emulator::Site site = basin::emulator::Site::here()) {
  return static_cast<int>(basin::emulator::warp_operation(basin::emulator::WarpOperation::kAll,
                                                          mask, predicate != 0, 0, 32, site));
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

}  // namespace basin::emulator

template <class T>
T __shfl_sync(unsigned mask, T value, int source_lane, int width = 32,
              basin::emulator::Site site = basin::emulator::Site::here()) {
  return basin::emulator::shuffle(basin::emulator::WarpOperation::kShuffle, mask, value,
                                  source_lane, width, site);
}
template <class T>
T __shfl_up_sync(unsigned mask, T value, unsigned delta, int width = 32,
                 basin::emulator::Site site = basin::emulator::Site::here()) {
  return basin::emulator::shuffle(basin::emulator::WarpOperation::kShuffleUp, mask, value,
                                  static_cast<int>(delta), width, site);
}
template <class T>
T __shfl_down_sync(unsigned mask, T value, unsigned delta, int width = 32,
                   basin::emulator::Site site = basin::emulator::Site::here()) {
  return basin::emulator::shuffle(basin::emulator::WarpOperation::kShuffleDown, mask, value,
                                  static_cast<int>(delta), width, site);
}
template <class T>
T __shfl_xor_sync(unsigned mask, T value, int lane_mask, int width = 32,
                  basin::emulator::Site site = basin::emulator::Site::here()) {
  return basin::emulator::shuffle(basin::emulator::WarpOperation::kShuffleXor, mask, value,
                                  lane_mask, width, site);
}

// Memory order and atomic operations, which are relaxed: a fence orders, nothing else does. Only
// ThreadSanitizer is told; a host executes each thread's accesses in order.

namespace basin::emulator {

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

}  // namespace basin::emulator

inline void __threadfence() {
  if constexpr (basin::emulator::kMemoryOrder) basin::emulator::fence(true);
}
inline void __threadfence_block() {
  if constexpr (basin::emulator::kMemoryOrder) basin::emulator::fence(false);
}

// T: int, unsigned, unsigned long long, float or double. Returns the value before.
template <class T>
T atomicAdd(T* address, std::type_identity_t<T> value) {
  return basin::emulator::atomic_update(address,
                                        [&](T old) { return static_cast<T>(old + value); });
}
template <class T>
T atomicMax(T* address, std::type_identity_t<T> value) {
  static_assert(std::is_integral_v<T>, "CUDA has atomicMax for integers only");
  return basin::emulator::atomic_update(address, [&](T old) { return old > value ? old : value; });
}
template <class T>
T atomicCAS(T* address, std::type_identity_t<T> compare, std::type_identity_t<T> value) {
  static_assert(std::is_integral_v<T>, "CUDA has atomicCAS for integers only");
  return basin::emulator::atomically(address, [&] {
    T old = compare;
    __atomic_compare_exchange_n(address, &old, value, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
    return old;
  });
}
// Counts up to `limit` and starts again at 0.
inline unsigned atomicInc(unsigned* address, unsigned limit) {
  return basin::emulator::atomic_update(address,
                                        [&](unsigned old) { return old >= limit ? 0 : old + 1; });
}

// Arithmetic. The fast variants are the exact ones here; glibc declares some of these names, so
// they are macros.

#define __expf(x) ::expf(x)
#define __logf(x) ::logf(x)
inline float rsqrtf(float x) {
  return 1.0f / std::sqrt(x);
}
inline double rsqrt(double x) {
  return 1.0 / std::sqrt(x);
}
inline float __fdividef(float x, float y) {
  return x / y;
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

namespace basin::emulator {
template <class To, class From>
To same_bits(From from) {
  static_assert(sizeof(To) == sizeof(From));
  To to;
  std::memcpy(&to, &from, sizeof(to));
  return to;
}
}  // namespace basin::emulator

inline int __float_as_int(float x) {
  return basin::emulator::same_bits<int>(x);
}
inline unsigned __float_as_uint(float x) {
  return basin::emulator::same_bits<unsigned>(x);
}
inline float __int_as_float(int x) {
  return basin::emulator::same_bits<float>(x);
}
inline float __uint_as_float(unsigned x) {
  return basin::emulator::same_bits<float>(x);
}
inline int __popc(unsigned x) {
  return __builtin_popcount(x);
}
inline int __ffs(int x) {
  return __builtin_ffs(x);
}
inline int __clz(int x) {
  return x == 0 ? 32 : __builtin_clz(static_cast<unsigned>(x));
}
inline unsigned __umulhi(unsigned x, unsigned y) {
  return static_cast<unsigned>(static_cast<uint64_t>(x) * y >> 32);
}
template <class T>
T __ldg(const T* address) {
  return *address;
}

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

// Runs kernel(arguments...) as grid x block CUDA threads; returns when they have ended. Throws
// Error for a launch CUDA would not take and for faults of the kernel.
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
