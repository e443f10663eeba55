// Stacks from mmap with a guard page, and the switch between them in assembly: that of ucontext
// would cost a system call.
#include "kernels/emulator/fiber.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>

#include "kernels/base/check.h"
#include "kernels/emulator/sanitizers.h"

#ifndef __x86_64__
#error "the emulator switches stacks on x86-64 only"
#endif

// Saves the callee-saved registers on the stack, stores the stack pointer in *from, and continues
// where `to` was saved.
extern "C" void basin_emulator_switch(void** from, void* to);
// Where a new stack begins: calls the fiber's entry().
extern "C" void basin_emulator_begin();

asm(R"(
.text
.p2align 4
.globl basin_emulator_switch
.type basin_emulator_switch, @function
basin_emulator_switch:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
.size basin_emulator_switch, .-basin_emulator_switch

.p2align 4
.globl basin_emulator_begin
.type basin_emulator_begin, @function
basin_emulator_begin:
  .cfi_startproc
  .cfi_undefined rip
  callq *%rbx
  ud2
  .cfi_endproc
.size basin_emulator_begin, .-basin_emulator_begin
)");

namespace basin::emulator {
namespace {

// Instrumented code needs more stack, and its reports much more.
constexpr size_t kStackSize = (kAddressSanitizer || kThreadSanitizer ? 256 : 64) * 1024;

// The fibers that the host thread leaves and enters in the current switch.
thread_local Fiber* leaving = nullptr;
thread_local Fiber* entering = nullptr;

size_t page_size() {
  return static_cast<size_t>(sysconf(_SC_PAGESIZE));
}

}  // namespace

Fiber::Fiber(void (*entry)()) : entry_(entry), size_(kStackSize) {
  const size_t guard = page_size();
  void* memory = mmap(nullptr, guard + kStackSize, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  BASIN_CHECK(memory != MAP_FAILED && mprotect(memory, guard, PROT_NONE) == 0,
              "no memory for the stack of an emulated thread; run fewer tests at a time");
  memory_ = static_cast<char*>(memory);
  bottom_ = memory_ + guard;
  restart();
}

Fiber::~Fiber() {
  if (memory_) munmap(memory_, page_size() + kStackSize);
}

void Fiber::restart() {
  unpoison(bottom_, size_);
  fake_stack_ = nullptr;
  char* top = const_cast<char*>(static_cast<const char*>(bottom_)) + size_;
  // As basin_emulator_switch leaves a stack: six registers, of which rbx is the function, and the
  // return address. The rest keeps the stack aligned to 16 bytes.
  auto** frame = reinterpret_cast<void**>(top) - 9;
  for (int i = 0; i < 9; ++i) frame[i] = nullptr;
  frame[4] = reinterpret_cast<void*>(entry_);
  frame[6] = reinterpret_cast<void*>(basin_emulator_begin);
  stack_pointer_ = frame;
}

void Fiber::switch_to(Fiber& next) {
  leave_for(next, &fake_stack_);
  arrived();
}

void Fiber::abandon_for(Fiber& next) {
  leave_for(next, nullptr);
}

void Fiber::leave_for(Fiber& next, void** kept) {
  leaving = this;
  entering = &next;
  before_switch(kept, next.bottom_, next.size_);
  basin_emulator_switch(&stack_pointer_, next.stack_pointer_);
}

void Fiber::arrived() {
  const void* bottom;
  size_t size;
  after_switch(entering->fake_stack_, &bottom, &size);
  if (kAddressSanitizer && !leaving->memory_) {
    // Only now is a host thread's own stack known.
    leaving->bottom_ = bottom;
    leaving->size_ = size;
  }
}

}  // namespace basin::emulator
