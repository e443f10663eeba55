// What the tests of convolutions on the CPU and by libraries share: the three calls as one kind of
// function, their definition as oracle, and runs with a workspace.
#pragma once

#include <initializer_list>
#include <string>
#include <vector>

#include "kernels/base/check.h"
#include "kernels/conv2d/call.h"
#include "kernels/device/declarations.h"
#include "tests/support/kernel_case.h"

namespace basin::test {

// "batch x height x width x channels -> out, kernel / stride + padding"
inline std::string name(const Conv2dShape& s) {
  return concat(s.batch, "x", s.height, "x", s.width, "x", s.in_channels, " -> ", s.out_channels,
                ", ", s.kernel_height, "x", s.kernel_width, "/", s.stride, "+", s.padding);
}

// Each call as a function of two inputs, with the sizes of all three. Some channels of the output
// can be computed alone, from some of the second input: both are [outer, channels, inner], and
// `channels(shape)` is what a shape of those alone has fewer of.
struct Forward {
  template <class T>
  using Output = T;
  static constexpr const char* kName = "forward";
  static constexpr bool kAccumulates = false;
  static int64_t first(const Conv2dShape& s) { return s.x_size(); }
  static int64_t second(const Conv2dShape& s) { return s.w_size(); }
  static int64_t output(const Conv2dShape& s) { return s.y_size(); }
  static int64_t& channels(Conv2dShape& s) { return s.out_channels; }
  static int64_t second_inner(const Conv2dShape& s) { return s.w_size() / s.out_channels; }
  static int64_t output_inner(const Conv2dShape&) { return 1; }
  // Of the sum that a value of the output is.
  static int64_t terms(const Conv2dShape& s) {
    return s.kernel_height * s.kernel_width * s.in_channels;
  }
  template <class T>
  static Conv2dForward<T> call(const Conv2dShape& s, const T* x, const T* w, T* y, bool) {
    return {.shape = s, .x = x, .w = w, .y = y};
  }
};
struct BackwardData {
  template <class T>
  using Output = T;
  static constexpr const char* kName = "backward data";
  static constexpr bool kAccumulates = true;
  static int64_t first(const Conv2dShape& s) { return s.y_size(); }
  static int64_t second(const Conv2dShape& s) { return s.w_size(); }
  static int64_t output(const Conv2dShape& s) { return s.x_size(); }
  static int64_t& channels(Conv2dShape& s) { return s.in_channels; }
  static int64_t second_inner(const Conv2dShape&) { return 1; }
  static int64_t output_inner(const Conv2dShape&) { return 1; }
  static int64_t terms(const Conv2dShape& s) {
    return s.kernel_height * s.kernel_width * s.out_channels + 1;
  }
  template <class T>
  static Conv2dBackwardData<T> call(const Conv2dShape& s, const T* dy, const T* w, T* dx,
                                    bool accumulate) {
    return {.shape = s, .dy = dy, .w = w, .dx = {dx, accumulate}};
  }
};
struct BackwardWeights {
  template <class T>
  using Output = ParameterType<T>;
  static constexpr const char* kName = "backward weights";
  static constexpr bool kAccumulates = true;
  static int64_t first(const Conv2dShape& s) { return s.x_size(); }
  static int64_t second(const Conv2dShape& s) { return s.y_size(); }
  static int64_t output(const Conv2dShape& s) { return s.w_size(); }
  static int64_t& channels(Conv2dShape& s) { return s.out_channels; }
  static int64_t second_inner(const Conv2dShape&) { return 1; }
  static int64_t output_inner(const Conv2dShape& s) { return s.w_size() / s.out_channels; }
  static int64_t terms(const Conv2dShape& s) {
    return s.batch * s.out_height() * s.out_width() + 1;
  }
  template <class T>
  static Conv2dBackwardWeights<T> call(const Conv2dShape& s, const T* x, const T* dy,
                                       ParameterType<T>* dw, bool accumulate) {
    return {.shape = s, .x = x, .dy = dy, .dw = {dw, accumulate}};
  }
};

// By the definition, summed in double.
template <class Direction>
std::vector<double> defined(const Conv2dShape& s, const std::vector<double>& a,
                            const std::vector<double>& b) {
  std::vector<double> output(static_cast<size_t>(Direction::output(s)));
  cpu::run(Direction::call(s, a.data(), b.data(), output.data(), false));
  return output;
}

inline std::vector<double> magnitudes(std::vector<double> values) {
  for (double& value : values) value = std::abs(value);
  return values;
}

// Runs run(call) in every way, each time with a workspace of bytes_of(call), 64-byte aligned,
// beyond which nothing may be written.
template <class Call, class BytesOf, class Run>
void run_with_workspace(Call call, std::initializer_list<GuardedBytes*> inputs,
                        GuardedBytes& output, const BytesOf& bytes_of, const Run& run) {
  constexpr int64_t kAlignment = 64;
  run_checked(inputs, {&output}, [&] {
    const int64_t bytes = bytes_of(call);
    Guarded<uint8_t> memory(bytes + kAlignment);
    uint8_t* const begin =
        memory.data() + (kAlignment - reinterpret_cast<uintptr_t>(memory.data()) % kAlignment);
    call.workspace = bytes > 0 ? begin : nullptr;
    run(call);
    REQUIRE(memory.intact());
    const auto untouched = [](uint8_t byte) { return byte == 0xFF; };
    REQUIRE(std::all_of(memory.data(), begin, untouched));
    REQUIRE(std::all_of(begin + bytes, memory.data() + memory.size(), untouched));
  });
}

}  // namespace basin::test
