// What the emulator tells AddressSanitizer and ThreadSanitizer; nothing in builds without them.
// BASIN_EMULATOR_ASAN and BASIN_EMULATOR_TSAN come from the build, as the emulator itself is
// compiled without instrumentation.
#pragma once

#include <cstddef>

#ifdef BASIN_EMULATOR_ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif
#ifdef BASIN_EMULATOR_TSAN
#include <sanitizer/tsan_interface.h>
#endif

namespace basin::emulator {

#ifdef BASIN_EMULATOR_ASAN
constexpr bool kAddressSanitizer = true;
inline void poison(const void* begin, size_t size) {
  __asan_poison_memory_region(begin, size);
}
inline void unpoison(const void* begin, size_t size) {
  __asan_unpoison_memory_region(begin, size);
}
// Around a switch to the stack [bottom, bottom + size). `kept`: where the fiber that is left keeps
// its fake stack; null when it will not run again.
inline void before_switch(void** kept, const void* bottom, size_t size) {
  __sanitizer_start_switch_fiber(kept, bottom, size);
}
inline void after_switch(void* kept, const void** left_bottom, size_t* left_size) {
  __sanitizer_finish_switch_fiber(kept, left_bottom, left_size);
}
#else
constexpr bool kAddressSanitizer = false;
inline void poison(const void*, size_t) {}
inline void unpoison(const void*, size_t) {}
inline void before_switch(void**, const void*, size_t) {}
inline void after_switch(void*, const void**, size_t*) {}
#endif

// ThreadSanitizer sees each CUDA thread as a thread of its own, and orders between them only what
// release() and acquire() of the same object say.
#ifdef BASIN_EMULATOR_TSAN
constexpr bool kThreadSanitizer = true;
inline void* current_identity() {
  return __tsan_get_current_fiber();
}
inline void* new_identity() {
  return __tsan_create_fiber(0);
}
inline void delete_identity(void* identity) {
  __tsan_destroy_fiber(identity);
}
inline void become(void* identity) {
  __tsan_switch_to_fiber(identity, __tsan_switch_to_fiber_no_sync);
}
inline void release(const volatile void* object) {
  __tsan_release(const_cast<void*>(object));
}
inline void acquire(const volatile void* object) {
  __tsan_acquire(const_cast<void*>(object));
}
#else
constexpr bool kThreadSanitizer = false;
inline void* current_identity() {
  return nullptr;
}
inline void* new_identity() {
  return nullptr;
}
inline void delete_identity(void*) {}
inline void become(void*) {}
inline void release(const volatile void*) {}
inline void acquire(const volatile void*) {}
#endif

}  // namespace basin::emulator
