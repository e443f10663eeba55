// Stacks that a host thread can switch between: the machine part of the emulator.
#pragma once

#include <cstddef>

namespace basin::emulator {

// A flow of execution: that of a host thread (made by the default constructor), or one with its own
// stack.
class Fiber {
 public:
  Fiber() = default;
  // Runs entry() on its own stack when it is first switched to; entry must not return. Throws Error
  // when there is no memory for the stack.
  explicit Fiber(void (*entry)());
  ~Fiber();
  Fiber(const Fiber&) = delete;
  Fiber& operator=(const Fiber&) = delete;

  // Leaves this fiber, which must be the running one, for `next`; returns when something switches
  // back.
  void switch_to(Fiber& next);
  // The same, but this fiber will not run again before restart().
  void abandon_for(Fiber& next);
  // Makes an abandoned fiber ready to run entry() from its beginning.
  void restart();

  // Must be called first on a new stack.
  static void arrived();

 private:
  void leave_for(Fiber& next, void** kept);

  void (*entry_)() = nullptr;
  char* memory_ = nullptr;  // guard page, then the stack
  void* stack_pointer_ = nullptr;
  // For AddressSanitizer.
  const void* bottom_ = nullptr;
  size_t size_ = 0;
  void* fake_stack_ = nullptr;
};

}  // namespace basin::emulator
