// Bytes and FLOPs of the levels, call by call.
#include "experiments/bench/roofline.h"

#include <string_view>
#include <utility>
#include <vector>

namespace basin {
namespace {

using Geometry = CallDescription::Geometry;

struct Kernel {
  double flops = 0, bytes = 0;
  bool part = false;  // of an earlier kernel; both are bound by memory
};

// Outputs of a pooling of images.
double pooled(const CallDescription& call) {
  const auto& s = call.sizes;
  return static_cast<double>(s[0] * ((s[1] - 1) / 2 + 1) * ((s[2] - 1) / 2 + 1) * s[3]);
}

// The calls as the levels know them: what one fuses counts separately.
std::vector<CallDescription> unfused(const std::vector<TimedCall>& calls) {
  std::vector<CallDescription> result;
  for (const TimedCall& timed : calls) {
    const auto& parts = timed.call.unfused;
    if (parts.empty()) result.push_back(timed.call);
    result.insert(result.end(), parts.begin(), parts.end());
  }
  return result;
}

// The calls of a step, with what the levels ask about them.
class Calls {
 public:
  explicit Calls(std::vector<CallDescription> calls) : calls_(std::move(calls)) {}

  size_t size() const { return calls_.size(); }
  const CallDescription& operator[](size_t i) const { return calls_[i]; }
  bool is(size_t i, std::string_view name) const { return i < size() && calls_[i].name == name; }
  bool has(std::string_view name) const {
    for (size_t i = 0; i < size(); ++i) {
      if (is(i, name)) return true;
    }
    return false;
  }

  // Bytes of call i's tensor of activations: T elements, and T alone.
  double tensor(size_t i) const { return elements(i) * calls_[i].element_bytes; }
  double elements(size_t i) const {
    const auto& s = calls_[i].sizes;
    switch (calls_[i].geometry) {
      case Geometry::kFlat:
        return static_cast<double>(s[0]);
      case Geometry::kRows:
        return static_cast<double>(s[0] * s[1]);
      default:
        return static_cast<double>(s[0] * s[1] * s[2] * s[3]);
    }
  }
  double bit_mask(size_t i) const { return elements(i) / 8; }

  // Of a convolution, in bytes: x, y.
  double input(size_t i) const { return tensor(i); }
  double output(size_t i) const {
    const auto& s = calls_[i].sizes;
    auto side = [&](int64_t in, int64_t kernel) { return (in + 2 * s[8] - kernel) / s[7] + 1; };
    return static_cast<double>(s[0] * side(s[1], s[5]) * side(s[2], s[6]) * s[4] *
                               calls_[i].element_bytes);
  }
  double pooled(size_t i) const { return basin::pooled(calls_[i]); }
  // The batch norm of a projection: neither ReLU nor residual; its output is the residual of the
  // block's last one.
  bool projection(size_t i) const { return !calls_[i].relu && !calls_[i].residual; }
  // Both gradients of one convolution, one after the other.
  bool gradient_pair(size_t i) const {
    return is(i, "conv2d_backward_weights") && is(i + 1, "conv2d_backward_data") &&
           calls_[i].sizes == calls_[i + 1].sizes;
  }

 private:
  std::vector<CallDescription> calls_;
};

// What a level makes of call i: it appends kernels, or adds to the last one. False: no rule for
// this call, which stays as it is.
using Rule = bool (*)(const Calls& calls, size_t i, std::vector<Kernel>& kernels);

void append(std::vector<Kernel>& kernels, double bytes, double flops = 0) {
  kernels.push_back({flops, bytes, false});
}

// Adds to the previous kernel.
void merge(std::vector<Kernel>& kernels, double bytes, double flops = 0) {
  if (kernels.empty()) kernels.emplace_back();
  kernels.back().flops += flops;
  kernels.back().bytes += bytes;
}

// Calls that vanish at every level but the first: parts of batch norm, of a product's epilogue and
// of the loss.
bool vanishes(const Calls& calls, size_t i) {
  return calls.is(i, "batch_norm_statistics") || calls.is(i, "batch_norm_inverse_std") ||
         calls.is(i, "add_bias") || calls.is(i, "scale") || calls.is(i, "fold_batch_norm");
}

double sgd_bytes(const Calls& calls, size_t i, bool bf16, bool eager) {
  const double parameters = calls.elements(i);
  // 11 passes in fp32, or gradient, value and momentum read, value and momentum written; with bf16
  // weights also casts of weights and gradients, or a bf16 gradient in and a bf16 copy out.
  return parameters * (eager ? 44 + (bf16 ? 12 : 0) : 16 + (bf16 ? 2 + 2 : 4));
}

bool is_bf16(const Calls& calls) {
  for (size_t i = 0; i < calls.size(); ++i) {
    if (calls.is(i, "conv2d_forward")) return calls[i].element_bytes == 2;
  }
  return false;
}

bool eager(const Calls& calls, size_t i, std::vector<Kernel>& kernels) {
  const CallDescription& call = calls[i];
  if (vanishes(calls, i)) return true;
  if (calls.is(i, "batch_norm_forward")) {
    const double t = calls.tensor(i);
    append(kernels, (calls.has("conv2d_backward_weights") ? 3 : 2) * t);
    if (call.residual) append(kernels, 3 * t);
    if (call.relu) append(kernels, 2 * t);
  } else if (calls.is(i, "batch_norm_backward")) {
    const double t = calls.tensor(i);
    if (call.relu) append(kernels, 3 * t);
    append(kernels, 5 * t);
    if (call.accumulate) append(kernels, 3 * t);
  } else if (calls.is(i, "affine_relu_forward")) {
    const double t = calls.tensor(i);
    for (int k = 0; k < call.biases + (call.scale ? 1 : 0); ++k) append(kernels, 2 * t);
    if (call.residual) append(kernels, 3 * t);
    if (call.relu) append(kernels, 2 * t);
  } else if (calls.is(i, "affine_relu_backward")) {
    const double t = calls.tensor(i);
    if (call.relu) append(kernels, 3 * t);
    for (int k = 0; k < call.biases; ++k) append(kernels, t);
    if (call.scale) {  // dz*x, its sum, and scale*dz
      append(kernels, 3 * t);
      append(kernels, t);
      append(kernels, 2 * t);
    }
    if (call.accumulate) append(kernels, 3 * t);
  } else if (calls.is(i, "conv2d_backward_data") && call.accumulate) {
    append(kernels, call.bytes - calls.input(i), call.flops);
    append(kernels, 3 * calls.input(i));
  } else if (calls.is(i, "max_pool_forward")) {
    const bool index = calls.has("max_pool_backward");
    append(kernels, calls.tensor(i) + calls.pooled(i) * (call.element_bytes + (index ? 8 : 0)));
  } else if (calls.is(i, "max_pool_backward")) {  // zeroes dx first
    append(kernels, 2 * calls.tensor(i) + calls.pooled(i) * (call.element_bytes + 8));
  } else if (calls.is(i, "sgd_step")) {
    append(kernels, sgd_bytes(calls, i, is_bf16(calls), true));
  } else {
    return false;
  }
  return true;
}

bool sgd_in_one_pass(const Calls& calls, size_t i, std::vector<Kernel>& kernels) {
  if (!calls.is(i, "sgd_step")) return false;
  append(kernels, sgd_bytes(calls, i, is_bf16(calls), false));
  return true;
}

bool fused_batch_norm(const Calls& calls, size_t i, std::vector<Kernel>& kernels) {
  const CallDescription& call = calls[i];
  if (vanishes(calls, i) || sgd_in_one_pass(calls, i, kernels)) return true;
  if (calls.is(i, "batch_norm_forward")) {
    append(kernels,
           (call.residual ? 4 : 3) * calls.tensor(i) + (call.residual ? calls.bit_mask(i) : 0));
  } else if (calls.is(i, "batch_norm_backward")) {
    append(kernels, ((call.residual ? 6 : 5) + (call.accumulate ? 1 : 0)) * calls.tensor(i) +
                        (call.residual ? 2 * calls.bit_mask(i) : 0));
  } else {
    return false;
  }
  return true;
}

bool persistent_batch_norm(const Calls& calls, size_t i, std::vector<Kernel>& kernels) {
  const CallDescription& call = calls[i];
  if (calls.is(i, "batch_norm_forward")) {
    const double t = calls.tensor(i);
    if (calls.projection(i)) return true;  // inside the block's last one, which reads its input
    if (calls.is(i + 1, "max_pool_forward")) {
      append(kernels, t);
    } else {
      append(kernels, (call.residual ? 3 : 2) * t + (call.residual ? calls.bit_mask(i) : 0));
    }
  } else if (calls.is(i, "max_pool_forward") && calls.is(i - 1, "batch_norm_forward")) {
    merge(kernels, calls.pooled(i) * (call.element_bytes + 1));
  } else if (calls.is(i, "batch_norm_backward")) {
    const double t = calls.tensor(i);
    const double passes = (call.residual ? 4 : 3) + (call.accumulate ? 1 : 0);
    if (calls.projection(i)) {
      kernels.push_back({0, t, true});  // of the block's last one, which reads what both need
    } else if (i > 0 && calls.is(i - 1, "max_pool_backward")) {
      merge(kernels, 2 * t);
    } else {
      append(kernels, passes * t + (call.residual ? 2 * calls.bit_mask(i) : 0));
    }
  } else if (calls.is(i, "max_pool_backward") && calls.is(i + 1, "batch_norm_backward")) {
    append(kernels, calls.pooled(i) * (call.element_bytes + 2));  // the index read twice
  } else {
    return fused_batch_norm(calls, i, kernels);
  }
  return true;
}

bool recomputed_batch_norm(const Calls& calls, size_t i, std::vector<Kernel>& kernels) {
  const CallDescription& call = calls[i];
  // The stem's backward has no convolution before it, and takes two passes.
  if (calls.is(i, "max_pool_backward") && calls.is(i + 1, "batch_norm_backward")) {
    append(kernels, calls.pooled(i) * (2 * call.element_bytes + 2));
    return true;
  }
  if (calls.is(i, "batch_norm_backward")) {
    if (i > 0 && calls.is(i - 1, "max_pool_backward")) merge(kernels, 3 * calls.tensor(i));
    return true;
  }
  if (calls.is(i, "batch_norm_forward")) {
    const bool stored = call.residual || calls.is(i + 1, "max_pool_forward");
    return stored ? persistent_batch_norm(calls, i, kernels) : true;
  }
  if (calls.gradient_pair(i)) {
    append(kernels, call.bytes, call.flops);
  } else if (i > 0 && calls.gradient_pair(i - 1)) {
    // A join also reads the mask of what the block was given.
    merge(kernels, call.bytes + (call.accumulate ? calls.input(i) : 0), call.flops);
  } else {
    return persistent_batch_norm(calls, i, kernels);
  }
  return true;
}

bool fused_affine(const Calls& calls, size_t i, std::vector<Kernel>& kernels) {
  const CallDescription& call = calls[i];
  if (vanishes(calls, i) || sgd_in_one_pass(calls, i, kernels)) return true;
  if (calls.is(i, "affine_relu_forward")) {
    const double t = calls.tensor(i);
    if (calls.is(i + 1, "max_pool_forward")) {
      append(kernels, t);
    } else {
      append(kernels, (call.residual ? 3 : 2) * t + (call.residual ? calls.bit_mask(i) : 0));
    }
  } else if (calls.is(i, "max_pool_forward") && calls.is(i - 1, "affine_relu_forward")) {
    merge(kernels, calls.pooled(i) * (call.element_bytes + 1));
  } else if (calls.is(i, "affine_relu_backward")) {
    const double t = calls.tensor(i);
    if (i > 0 && calls.is(i - 1, "max_pool_backward")) {
      merge(kernels, 2 * t);
    } else {
      const double passes = (call.residual ? 2 : 3) + (call.accumulate ? 1 : 0);
      append(kernels, passes * t + (call.residual ? calls.bit_mask(i) : 0));
    }
  } else if (calls.is(i, "max_pool_backward") && calls.is(i + 1, "affine_relu_backward")) {
    append(kernels, calls.pooled(i) * (call.element_bytes + 1));
  } else {
    return false;
  }
  return true;
}

// The stem keeps its own kernel, with the pooling.
bool affine_in_epilogues(const Calls& calls, size_t i, std::vector<Kernel>& kernels) {
  const CallDescription& call = calls[i];
  if (calls.is(i, "affine_relu_forward") && !calls.is(i + 1, "max_pool_forward")) {
    if (call.residual) merge(kernels, calls.tensor(i));
  } else if (calls.is(i, "affine_relu_backward") &&
             !(i > 0 && calls.is(i - 1, "max_pool_backward"))) {
    merge(kernels, calls.tensor(i));  // what the mask is read from
  } else {
    return fused_affine(calls, i, kernels);
  }
  return true;
}

bool affine_and_shared_gradients(const Calls& calls, size_t i, std::vector<Kernel>& kernels) {
  const CallDescription& call = calls[i];
  if (calls.gradient_pair(i)) {
    append(kernels, call.bytes, call.flops);
  } else if (i > 0 && calls.gradient_pair(i - 1)) {
    merge(kernels, call.bytes - calls.output(i), call.flops);
  } else if (calls.is(i, "affine_relu_backward") &&
             !(i > 0 && calls.is(i - 1, "max_pool_backward"))) {
    // The weights' gradient reads the tensor that the mask is read from.
  } else {
    return affine_in_epilogues(calls, i, kernels);
  }
  return true;
}

bool folded(const Calls& calls, size_t i, std::vector<Kernel>& kernels) {
  if (vanishes(calls, i)) return true;
  if (!calls.is(i, "batch_norm_forward") && !calls.is(i, "affine_relu_forward")) return false;
  if (calls[i].residual) merge(kernels, calls.tensor(i));
  return true;
}

void add_kernel(RooflineLevel& level, const Kernel& kernel, const DevicePeaks& peaks) {
  if (!kernel.part) ++level.kernels;
  level.flops += kernel.flops;
  level.bytes += kernel.bytes;
  level.floor_seconds += floor_seconds(kernel.flops, kernel.bytes, peaks);
}

RooflineLevel level(const char* name, const char* meaning, const Calls& calls,
                    const DevicePeaks& peaks, const Rule& rule) {
  std::vector<Kernel> kernels;
  for (size_t i = 0; i < calls.size(); ++i) {
    if (!rule(calls, i, kernels)) append(kernels, calls[i].bytes, calls[i].flops);
  }
  RooflineLevel level;
  level.name = name;
  level.meaning = meaning;
  for (const Kernel& kernel : kernels) add_kernel(level, kernel, peaks);
  return level;
}

}  // namespace

std::vector<RooflineLevel> roofline_levels(const std::vector<TimedCall>& timed,
                                           const DevicePeaks& peaks) {
  std::vector<RooflineLevel> levels;
  RooflineLevel& as_run = levels.emplace_back();
  as_run.name = "as run";
  as_run.meaning = "the calls above";
  for (const TimedCall& call : timed) add_kernel(as_run, {call.call.flops, call.call.bytes}, peaks);
  const Calls calls(unfused(timed));
  auto add = [&](const char* name, const char* meaning, const Rule& rule) {
    levels.push_back(level(name, meaning, calls, peaks, rule));
  };
  if (!calls.has("conv2d_forward")) return levels;
  if (!calls.has("conv2d_backward_weights")) {
    add("eager", "every op a kernel", eager);
    add("folded", "norm in the weights, the rest in epilogues", folded);
  } else if (calls.has("batch_norm_backward")) {
    add("eager", "every op a kernel", eager);
    add("fused", "norm+add+ReLU in two passes", fused_batch_norm);
    add("persistent", "T on the chip between the passes", persistent_batch_norm);
    add("recompute", "only outputs of convolutions and blocks stored", recomputed_batch_norm);
  } else if (calls.has("affine_relu_backward")) {
    add("eager", "every op a kernel", eager);
    add("fused", "one kernel between convolutions", fused_affine);
    add("epilogue", "all of it in epilogues", affine_in_epilogues);
    add("shared", "and one read of dy for both gradients", affine_and_shared_gradients);
  }
  return levels;
}

}  // namespace basin
