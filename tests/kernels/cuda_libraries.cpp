// Convolutions by cuDNN and matrix products by cuBLASLt, on a GPU, against their definitions summed
// in double; the plan file; and that a call which is captured and one which is not have the same
// bits. On the emulated device, what replaces these libraries in bf16.
#include "kernels/base/bf16.h"
#include "kernels/base/check.h"
#include "kernels/conv2d/call.h"
#include "kernels/gemm/call.h"
#include "tests/support/conv2d_case.h"
#ifdef BASIN_TEST_CUDA
#include <filesystem>
#include <fstream>

#include "kernels/device/memory.h"
#include "tests/support/temporary_folder.h"
#endif

#ifdef BASIN_TEST_ON_DEVICE
using namespace basin;
using namespace basin::test;

namespace {

// batch, height, width, in_channels, out_channels, kernel height, kernel width, stride, padding
const Conv2dShape kShapes[] = {{1, 1, 1, 1, 1, 1, 1, 1, 0},      {2, 9, 11, 5, 17, 3, 3, 2, 1},
                               {1, 15, 13, 3, 17, 7, 7, 2, 3},   {2, 7, 7, 33, 35, 1, 1, 1, 0},
                               {2, 32, 32, 16, 32, 3, 3, 2, 1},  {4, 8, 8, 64, 64, 3, 3, 1, 1},
                               {2, 16, 16, 32, 64, 1, 1, 2, 0},  {1, 28, 28, 64, 128, 3, 3, 1, 1},
                               {1, 14, 14, 128, 256, 1, 1, 1, 0}};

// Runs calls as a stream with these options does.
#ifdef BASIN_TEST_CUDA
class Libraries {
 public:
  explicit Libraries(bool allow_tf32)
      // The workspace is copied to and from the GPU for each run.
      : stream_(Device::kCuda,
                {.allow_tf32 = allow_tf32, .plan_file = "", .workspace_limit = int64_t{64} << 20}) {
  }
  template <class Call>
  int64_t workspace_bytes(const Call& call) {
    return cuda::workspace_bytes(call, stream_);
  }
  template <class Call>
  void run(const Call& call) {
    gpu_runs->run(call, stream_);
  }

 private:
  Stream stream_;
};
constexpr int64_t kMostProducts = std::numeric_limits<int64_t>::max();
#else
struct Libraries {
  explicit Libraries(bool) {}
  template <class Call>
  int64_t workspace_bytes(const Call& call) {
    return call.workspace_bytes();
  }
  template <class Call>
  void run(const Call& call) {
    emulated::run(call);
  }
};
constexpr int64_t kMostProducts = 3'000'000;  // of a case, for the definition takes its time
#endif

// Numbers that T holds exactly, and the same in double.
template <class T>
struct Numbers {
  Numbers(int64_t size, Values values, uint32_t seed)
      : stored(size), exact(static_cast<size_t>(size)), magnitude(static_cast<size_t>(size)) {
    const Guarded<float> drawn = filled<float>(size, values, seed);
    for (int64_t i = 0; i < size; ++i) {
      stored[i] = from_float<T>(drawn[i]);
      exact[static_cast<size_t>(i)] = to_float(stored[i]);
      magnitude[static_cast<size_t>(i)] = std::abs(exact[static_cast<size_t>(i)]);
    }
  }
  Guarded<T> stored;
  std::vector<double> exact, magnitude;
};

// Sums of products in float, by tensor cores too, in any order: each of the k additions may err by
// half a unit in the last place of the sum so far, so in all by no more than k halves of 2^-23 of
// the sum of magnitudes. TF32 and bf16 operands here are exact. Results in bf16 are rounded once
// more, and twice where they go through bf16 scratch memory.
struct Tolerance {
  double terms, output;
  bool exact;
};

template <class Output>
void compare(const Guarded<Output>& got, const std::vector<double>& want,
             const std::vector<double>& magnitude, const Guarded<Output>* start,
             const Tolerance& tolerance, const std::string& what) {
  int64_t wrong = 0;
  double worst = 0;
  for (int64_t i = 0; i < got.size(); ++i) {
    const double begin = start ? to_float((*start)[i]) : 0.0;
    const double value = want[static_cast<size_t>(i)] + begin;
    const double allowed =
        tolerance.exact
            ? 0
            : tolerance.terms * 0x1p-24 * (magnitude[static_cast<size_t>(i)] + std::abs(begin)) +
                  tolerance.output * (std::abs(value) + std::abs(begin));
    const double error = std::abs(to_float(got[i]) - value);
    if (!(error <= allowed)) ++wrong;
    if (allowed > 0) worst = std::max(worst, error / allowed);
  }
  CHECK_MESSAGE(wrong == 0, what, ": ", wrong, " of ", got.size(), " values are wrong");
  CHECK_MESSAGE(worst <= 1, what);
}

// Runs the call in every way. The first finds its algorithm, before it is captured.
template <class Call>
void run_convolution(const Call& call, Libraries& libraries,
                     std::initializer_list<GuardedBytes*> inputs, GuardedBytes& output) {
  run_with_workspace(
      call, inputs, output, [&](const Call& each) { return libraries.workspace_bytes(each); },
      [&](const Call& each) { libraries.run(each); });
}

// What the results of a convolution in T may differ by.
template <class T>
Tolerance tolerance_of(double terms, Values values) {
  // Half a unit in the last place of bf16, twice.
  return {terms, std::is_same_v<T, Bf16> ? 2 * 0x1p-8 : 0,
          values == Values::kIntegers && std::is_same_v<T, float>};
}

template <class Direction, class T>
void check_direction(const Conv2dShape& s, Values values, Libraries& libraries,
                     const std::string& what) {
  using Output = typename Direction::template Output<T>;
  Numbers<T> a(Direction::first(s), values, 1), b(Direction::second(s), values, 2);
  const std::vector<double> want = defined<Direction>(s, a.exact, b.exact);
  const std::vector<double> magnitude = defined<Direction>(s, a.magnitude, b.magnitude);
  for (const bool accumulate : {false, true}) {
    if (accumulate && !Direction::kAccumulates) continue;
    const int64_t size = Direction::output(s);
    Guarded<Output> out =
        accumulate ? Numbers<Output>(size, values, 3).stored : Guarded<Output>(size);
    const Guarded<Output> start = out;
    run_convolution(
        Direction::template call<T>(s, a.stored.data(), b.stored.data(), out.data(), accumulate),
        libraries, {&a.stored, &b.stored}, out);
    compare(out, want, magnitude, accumulate ? &start : nullptr,
            tolerance_of<T>(static_cast<double>(Direction::terms(s)), values),
            concat(Direction::kName, accumulate ? ", added, " : ", ", what));
  }
}

template <class T>
void check_epilogue(const Conv2dShape& s, Values values, Libraries& libraries,
                    const std::string& what) {
  Numbers<T> x(s.x_size(), values, 1), w(s.w_size(), values, 2), bias(s.out_channels, values, 6),
      residual(s.y_size(), values, 7);
  const std::vector<double> want = defined<Forward>(s, x.exact, w.exact);
  const std::vector<double> magnitude = defined<Forward>(s, x.magnitude, w.magnitude);
  // Where cuDNN has no engine for the whole, the convolution is rounded to bf16, too: half a unit
  // of its own size, here as terms of a sum.
  const double sum_terms = static_cast<double>(Forward::terms(s)) + 2;
  const double apart = std::is_same_v<T, Bf16> ? 0x1p16 / sum_terms : 0;
  for (int options = 0; options < 4; ++options) {
    const bool with_residual = options & 1, relu = options & 2;
    std::vector<double> added = want, terms = magnitude;
    for (size_t i = 0; i < want.size(); ++i) {
      const size_t k = i % static_cast<size_t>(s.out_channels);
      added[i] += bias.exact[k] + (with_residual ? residual.exact[i] : 0);
      if (relu) added[i] = std::max(added[i], 0.0);
      terms[i] += bias.magnitude[k] + (with_residual ? residual.magnitude[i] : 0);
      terms[i] += apart * std::abs(want[i]);
    }
    Guarded<T> y(s.y_size());
    run_convolution(Conv2dForward<T>{.shape = s,
                                     .x = x.stored.data(),
                                     .w = w.stored.data(),
                                     .y = y.data(),
                                     .bias = bias.stored.data(),
                                     .residual = with_residual ? residual.stored.data() : nullptr,
                                     .relu = relu},
                    libraries, {&x.stored, &w.stored, &bias.stored, &residual.stored}, y);
    compare(y, added, terms, static_cast<Guarded<T>*>(nullptr), tolerance_of<T>(sum_terms, values),
            concat("forward with bias", with_residual ? ", residual" : "", relu ? ", ReLU" : "",
                   ", ", what));
  }
}

template <class T>
void check_convolutions(Values values, bool allow_tf32) {
  Libraries libraries(allow_tf32);
  for (const Conv2dShape& s : kShapes) {
    if (s.flops() / 2 > static_cast<double>(kMostProducts)) continue;
    const std::string what =
        concat(std::is_same_v<T, Bf16> ? "bf16 " : (allow_tf32 ? "tf32 " : "float "),
               name_of(values), " ", name(s));
    CAPTURE(what);
    check_direction<Forward, T>(s, values, libraries, what);
    check_epilogue<T>(s, values, libraries, what);
    check_direction<BackwardData, T>(s, values, libraries, what);
    check_direction<BackwardWeights, T>(s, values, libraries, what);
  }
}

template <class T, class Output = T>
void check_products(Values values, bool allow_tf32) {
  Libraries libraries(allow_tf32);
  const bool exact = values == Values::kIntegers && std::is_same_v<Output, float>;
  const double rounding = std::is_same_v<Output, Bf16> ? 0x1p-8 : 0;
  const int64_t sizes[][3] = {{1, 1, 1},     {5, 3, 17},    {7, 17, 33},
                              {128, 10, 64}, {10, 64, 128}, {16, 1000, 200},
                              {3, 5, 0},     {97, 65, 257}, {256, 128, 512}};
  for (const auto& [m, n, k] : sizes) {
    if (m * n * k > kMostProducts) continue;
    for (int variant = 0; variant < 8; ++variant) {
      const bool transpose_a = variant & 1, transpose_b = variant & 2, accumulate = variant & 4;
      Numbers<T> a(m * k, values, 1), b(k * n, values, 2);
      Guarded<Output> c =
          accumulate ? Numbers<Output>(m * n, values, 3).stored : Guarded<Output>(m * n);
      const Guarded<Output> start = c;
      std::vector<double> want(static_cast<size_t>(m * n)), magnitude(want.size());
      for (int64_t i = 0; i < m; ++i) {
        for (int64_t j = 0; j < n; ++j) {
          for (int64_t t = 0; t < k; ++t) {
            const double product =
                a.exact[static_cast<size_t>(transpose_a ? t * m + i : i * k + t)] *
                b.exact[static_cast<size_t>(transpose_b ? j * k + t : t * n + j)];
            want[static_cast<size_t>(i * n + j)] += product;
            magnitude[static_cast<size_t>(i * n + j)] += std::abs(product);
          }
        }
      }
      const Gemm<T, Output> call{.transpose_a = transpose_a,
                                 .transpose_b = transpose_b,
                                 .m = m,
                                 .n = n,
                                 .k = k,
                                 .a = a.stored.data(),
                                 .b = b.stored.data(),
                                 .c = c.data(),
                                 .accumulate = accumulate};
      run_checked({&a.stored, &b.stored}, {&c}, [&] { libraries.run(call); });
      compare(
          c, want, magnitude, accumulate ? &start : nullptr,
          {static_cast<double>(k) + 1, rounding, exact},
          concat("m ", m, ", n ", n, ", k ", k, ", variant ", variant, " of ", name_of(values)));
    }
  }
}

#ifdef BASIN_TEST_CUDA
std::string read(const std::filesystem::path& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}
#endif

}  // namespace

TEST_CASE("cuDNN, or what replaces it: convolutions in bf16") {
  check_convolutions<Bf16>(Values::kIntegers, false);
  check_convolutions<Bf16>(Values::kNormal, false);
}
TEST_CASE("cuBLASLt, or what replaces it: products in bf16, and of bf16 in float") {
  check_products<Bf16>(Values::kIntegers, false);
  check_products<Bf16>(Values::kNormal, false);
  check_products<Bf16, float>(Values::kIntegers, false);
  check_products<Bf16, float>(Values::kNormal, false);
}

#ifdef BASIN_TEST_CUDA
TEST_CASE("cuDNN: convolutions in float") {
  check_convolutions<float>(Values::kIntegers, false);
  check_convolutions<float>(Values::kNormal, false);
}
TEST_CASE("cuDNN: convolutions in TF32 of numbers that TF32 holds") {
  check_convolutions<float>(Values::kIntegers, true);
}
TEST_CASE("cuBLASLt: products in float") {
  check_products<float>(Values::kIntegers, false);
  check_products<float>(Values::kNormal, false);
}
TEST_CASE("cuBLASLt: products in TF32 of numbers that TF32 holds") {
  check_products<float>(Values::kIntegers, true);
}

TEST_CASE("cuDNN: an algorithm that was chosen is found again, one that is damaged chosen again") {
  const TemporaryFolder folder;
  const std::filesystem::path file = folder.path / "algorithms.txt",
                              before = folder.path / "before";
  const Conv2dForward<float> call{.shape = {2, 8, 8, 16, 16, 3, 3, 1, 1}};
  // Every choice replaces the file.
  const auto chooses = [&] {
    std::filesystem::remove(before);
    if (std::filesystem::exists(file)) std::filesystem::create_hard_link(file, before);
    Stream stream(Device::kCuda, {.plan_file = file.string()});
    cuda::workspace_bytes(call, stream);
    cuda::workspace_bytes(call, stream);
    return !std::filesystem::exists(before) || !std::filesystem::equivalent(file, before);
  };
  CHECK(chooses());
  CHECK(!chooses());
  std::string text = read(file);
  text[text.size() - 2] ^= 1;
  std::ofstream(file) << text;
  CHECK(chooses());
  CHECK(!chooses());
}

TEST_CASE("device memory, pinned memory and copies in all directions") {
  Stream& stream = gpu_runs->stream();
  constexpr int64_t kBytes = 100'000;
  auto* from = static_cast<uint8_t*>(allocate_pinned(Device::kCuda, kBytes));
  auto* to = static_cast<uint8_t*>(allocate_pinned(Device::kCuda, kBytes));
  for (int64_t i = 0; i < kBytes; ++i) from[i] = static_cast<uint8_t>(i * 7);
  void* first = cuda::allocate(kBytes);
  void* second = cuda::allocate(kBytes);
  CHECK(reinterpret_cast<uintptr_t>(first) % 256 == 0);
  const auto begin = make_event(Device::kCuda), end = make_event(Device::kCuda);
  begin->record(stream);
  stream.copy_to_device(first, from, kBytes);
  stream.copy(second, first, kBytes);
  stream.zero(first, kBytes / 2);
  end->record(stream);
  stream.copy_to_host(to, second, kBytes);
  CHECK(std::memcmp(from, to, kBytes) == 0);
  CHECK(end->seconds_since(*begin) >= 0);
  stream.copy_to_host(to, first, kBytes);
  CHECK(std::all_of(to, to + kBytes / 2, [](uint8_t byte) { return byte == 0; }));
  CHECK(std::memcmp(from + kBytes / 2, to + kBytes / 2, kBytes / 2) == 0);
  for (void* memory : {first, second}) cuda::release(memory);
  for (void* memory : {from, to}) release_pinned(Device::kCuda, memory);
}

TEST_CASE("device errors name the call, the error and what to do") {
  std::string message;
  try {
    cuda::allocate(int64_t{1} << 50);
  } catch (const Error& error) {
    message = error.what();
  }
  CHECK(message.find("cudaMalloc of 1125899906842624 bytes: cudaErrorMemoryAllocation") == 0);
  CHECK(message.find("smaller batch") != std::string::npos);
}
#endif
#endif
