// Times every distinct convolution of three nets, in the three directions: milliseconds, GFLOP/s of
// the definition, and per cent of the measured peak of fused multiply-adds.
#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdio>
#include <ctime>
#include <map>
#include <string>
#include <vector>

#include "kernels/conv2d.h"
#include "kernels/micro_kernel.h"
#include "kernels/parallel.h"
#include "kernels/random.h"

namespace {

using basin::Conv2dShape;

struct Layer {
  Conv2dShape shape;
  int count;  // how often the net has it
};

const std::map<std::string, std::vector<Layer>> kNets = {
    {"resnet20",
     {{{128, 32, 32, 3, 16, 3, 3, 1, 1}, 1},
      {{128, 32, 32, 16, 16, 3, 3, 1, 1}, 6},
      {{128, 32, 32, 16, 32, 3, 3, 2, 1}, 1},
      {{128, 16, 16, 32, 32, 3, 3, 1, 1}, 5},
      {{128, 16, 16, 32, 64, 3, 3, 2, 1}, 1},
      {{128, 8, 8, 64, 64, 3, 3, 1, 1}, 5}}},
    {"resnet18",
     {{{32, 32, 32, 3, 64, 3, 3, 1, 1}, 1},
      {{32, 32, 32, 64, 64, 3, 3, 1, 1}, 4},
      {{32, 32, 32, 64, 128, 3, 3, 2, 1}, 1},
      {{32, 32, 32, 64, 128, 1, 1, 2, 0}, 1},
      {{32, 16, 16, 128, 128, 3, 3, 1, 1}, 3},
      {{32, 16, 16, 128, 256, 3, 3, 2, 1}, 1},
      {{32, 8, 8, 256, 256, 3, 3, 1, 1}, 3},
      {{32, 8, 8, 256, 512, 3, 3, 2, 1}, 1},
      {{32, 4, 4, 512, 512, 3, 3, 1, 1}, 3}}},
    {"resnet50",
     {{{16, 224, 224, 3, 64, 7, 7, 2, 3}, 1},
      {{16, 56, 56, 64, 64, 1, 1, 1, 0}, 1},
      {{16, 56, 56, 64, 64, 3, 3, 1, 1}, 3},
      {{16, 56, 56, 64, 256, 1, 1, 1, 0}, 4},
      {{16, 56, 56, 256, 64, 1, 1, 1, 0}, 2},
      {{16, 56, 56, 128, 128, 3, 3, 2, 1}, 1},
      {{16, 28, 28, 128, 512, 1, 1, 1, 0}, 4},
      {{16, 56, 56, 256, 512, 1, 1, 2, 0}, 1},
      {{16, 28, 28, 512, 128, 1, 1, 1, 0}, 3},
      {{16, 28, 28, 128, 128, 3, 3, 1, 1}, 3},
      {{16, 28, 28, 256, 256, 3, 3, 2, 1}, 1},
      {{16, 14, 14, 256, 1024, 1, 1, 1, 0}, 6},
      {{16, 14, 14, 1024, 256, 1, 1, 1, 0}, 5},
      {{16, 14, 14, 256, 256, 3, 3, 1, 1}, 5},
      {{16, 14, 14, 512, 512, 3, 3, 2, 1}, 1},
      {{16, 7, 7, 512, 2048, 1, 1, 1, 0}, 3},
      {{16, 7, 7, 2048, 512, 1, 1, 1, 0}, 2},
      {{16, 7, 7, 512, 512, 3, 3, 1, 1}, 2}}},
};

// Seconds of CPU time with one thread, which other programs disturb least, else of wall time.
double now() {
  if (basin::threads() == 1) {
    return static_cast<double>(std::clock()) / static_cast<double>(CLOCKS_PER_SEC);
  }
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// The least time of several calls, in seconds.
template <class Body>
double least_seconds(const Body& body) {
  body();
  double least = 1e30, total = 0;
  for (int i = 0; i < 5 || (total < 0.1 && i < 50); ++i) {
    const double start = now();
    body();
    const double seconds = now() - start;
    least = std::min(least, seconds);
    total += seconds;
  }
  return least;
}

// GFLOP/s of the micro-kernel alone on data in the first-level cache, on all threads.
double measure_peak() {
  constexpr int kDepth = 256, kRepeats = 4000;
  const double seconds = least_seconds([&] {
    basin::parallel_for(basin::threads(), [&](int64_t) {
      alignas(64) float a[basin::cpu::kBlockRows * kDepth] = {};
      alignas(64) float b[basin::cpu::kPanelWidth * kDepth] = {};
      alignas(64) float c[basin::cpu::kBlockRows * basin::cpu::kPanelWidth] = {};
      const float* rows[basin::cpu::kBlockRows];
      float* out[basin::cpu::kBlockRows];
      for (int i = 0; i < basin::cpu::kBlockRows; ++i) {
        rows[i] = a + i * kDepth;
        out[i] = c + i * basin::cpu::kPanelWidth;
      }
      for (int i = 0; i < kRepeats; ++i) {
        basin::cpu::multiply_panels<false>(basin::cpu::kBlockRows, {rows, 0, kDepth, 1, 0}, b,
                                           kDepth, 0, basin::cpu::kPanelWidth, out, true);
      }
      volatile float used = c[0];  // or the compiler drops the loop
      static_cast<void>(used);
    });
  });
  return 2e-9 * basin::threads() * kRepeats * kDepth * basin::cpu::kBlockRows *
         basin::cpu::kPanelWidth / seconds;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"Times the convolutions of three nets on the CPU."};
  int threads = 1;
  std::string only;
  app.add_option("--threads", threads, "number of threads")->capture_default_str();
  app.add_option("--net", only, "resnet20, resnet18 or resnet50; default: all three");
  CLI11_PARSE(app, argc, argv);
  basin::set_threads(threads);
  const double peak = measure_peak();
  std::printf("%d thread(s), peak %.1f GFLOP/s\n", threads, peak);
  std::printf("%-44s %26s %23s %17s\n", "", "ms fwd/data/weights", "GFLOP/s", "% of peak");
  for (const auto& [net, layers] : kNets) {
    if (!only.empty() && only != net) continue;
    double total[3] = {};
    for (const Layer& layer : layers) {
      const Conv2dShape& s = layer.shape;
      basin::RandomStream random(1, basin::RandomPurpose::kNoise);
      const auto filled = [&](int64_t size) {
        std::vector<float> values(size);
        for (float& value : values) value = random.uniform(-1.0f, 1.0f);
        return values;
      };
      std::vector<float> x = filled(s.x_size()), w = filled(s.w_size()), y = filled(s.y_size());
      std::vector<float> dx(s.x_size()), dw(s.w_size()), out(s.y_size());
      basin::Conv2dForward<float> forward{s, x.data(), w.data(), out.data(), nullptr};
      basin::Conv2dBackwardData<float> data{s, y.data(), w.data(), dx.data(), false, nullptr};
      basin::Conv2dBackwardWeights<float> weights{s, x.data(), y.data(), dw.data(), false, nullptr};
      const int64_t bytes = std::max({forward.workspace_bytes(), data.workspace_bytes(),
                                      weights.workspace_bytes(), int64_t{64}});
      std::vector<char> workspace(bytes + 64);
      void* aligned = workspace.data() + (-reinterpret_cast<uintptr_t>(workspace.data()) & 63);
      forward.workspace = data.workspace = weights.workspace = aligned;
      const double seconds[] = {least_seconds([&] { basin::cpu::run(forward); }),
                                least_seconds([&] { basin::cpu::run(data); }),
                                least_seconds([&] { basin::cpu::run(weights); })};
      const double flops = s.flops() * 1e-9;
      std::printf("%s N%-3lld %4lld->%4lld %lldx%lld/%lld @%3lld x%d %5.1f MB", net.c_str(),
                  static_cast<long long>(s.batch), static_cast<long long>(s.in_channels),
                  static_cast<long long>(s.out_channels), static_cast<long long>(s.kernel_height),
                  static_cast<long long>(s.kernel_width), static_cast<long long>(s.stride),
                  static_cast<long long>(s.height), layer.count, bytes * 1e-6);
      for (double t : seconds) std::printf(" %7.2f", t * 1e3);
      std::printf("  ");
      for (double t : seconds) std::printf(" %6.1f", flops / t);
      std::printf("  ");
      for (double t : seconds) std::printf(" %4.0f", 100 * flops / t / peak);
      std::printf("\n");
      std::fflush(stdout);
      for (int i = 0; i < 3; ++i) total[i] += layer.count * seconds[i];
    }
    std::printf("%s, all layers: %.1f + %.1f + %.1f = %.1f ms\n", net.c_str(), total[0] * 1e3,
                total[1] * 1e3, total[2] * 1e3, (total[0] + total[1] + total[2]) * 1e3);
  }
}
