// Forward through the modules, and drawing initial weights.
#include "models/network.h"

#include "engine/transfer.h"
#include "kernels/base/random.h"
#include "models/fixup_resnet.h"
#include "models/resnet.h"
#include "models/resnet_plan.h"

namespace basin {

Tensor Network::forward(Tape& tape, const Tensor& images, Mode mode, const Tap& tap) {
  BASIN_CHECK(images.shape().rank() == 4 && images.shape()[3] == 3,
              "a network takes images [N,H,W,3], got ", images.shape().text());
  return run_modules(tape, {images, {}}, mode, 0, state_.modules().size(), tap).value;
}

Activation Network::forward_range(Tape& tape, Activation input, Mode mode, size_t begin,
                                  size_t end) {
  BASIN_CHECK(begin <= end && end <= state_.modules().size(), "modules ", begin, "..", end, " of ",
              state_.modules().size());
  return run_modules(tape, std::move(input), mode, begin, end, nullptr);
}

Activation Network::run_modules(Tape& tape, Activation input, Mode mode, size_t begin, size_t end,
                                const Tap& tap) {
  input.value = convert(tape, input.value, state_.dtype());  // images; else nothing
  std::vector<FoldedConvolution> folded;
  if (folding_ && mode == Mode::kEvaluate && !tape.recording()) {
    folded = folding_->make(tape, begin, end);
  }
  for (size_t i = begin; i < end; ++i) {
    // A tap wants a module's own output, without the shift of the one behind it.
    const Tensor next = i + 1 < end && !tap ? input_shift(i + 1) : Tensor();
    input = forward_module(tape, i, input, mode, next, folded);
    if (tap) tap(state_.modules()[i], input.value);
  }
  return input;
}

void Network::initialize(uint64_t seed) {
  initialize_entries(seed, nullptr);
}

void Network::initialize_module(uint64_t seed, const std::string& module) {
  state_.parameter_range(module);  // throws for an unknown name
  initialize_entries(seed, &module);
}

void Network::initialize_entries(uint64_t seed, const std::string* module) {
  uint32_t index = 0;
  for (const State::Entry& entry : state_.entries()) {
    RandomStream random(seed, RandomPurpose::kInit, 0, index++);
    if (module && entry.module != *module) continue;
    const Init init = init_of(entry);
    dispatch_parameters(state_.value_dtype(), [&]<class T>() {
      std::vector<T> values(static_cast<size_t>(entry.shape.elements()));
      for (T& element : values) {
        double value = init.value;
        if (init.kind == Init::Kind::kNormal) value *= random.normal();
        if (init.kind == Init::Kind::kUniform) value *= 2.0 * random.uniform() - 1.0;
        element = static_cast<T>(value);
      }
      upload(values.data(), entry.tensor, state_.stream());
    });
  }
  state_.update_copy();
}

std::unique_ptr<Network> make_network(const ModelOptions& options, DType dtype, Stream& stream,
                                      State::Use use) {
  BASIN_CHECK(options.classes >= 1, "a network needs at least one class, got ", options.classes);
  BASIN_CHECK(options.width >= 0 && options.width <= 4096, "--width must be in 0..4096, got ",
              options.width);
  bool known = false;
  std::string names;
  for (const std::string& name : model_names()) {
    known = known || name == options.name;
    names += (names.empty() ? "" : ", ") + name;
  }
  BASIN_CHECK(known, "no model is named '", options.name, "'; known: ", names);
  const std::string prefix = "fixup_";
  std::unique_ptr<Network> network;
  if (options.name.starts_with(prefix)) {
    network = std::make_unique<FixupResNet>(options, dtype, stream);
  } else {
    network = std::make_unique<ResNet>(options, dtype, stream);
  }
  network->state().allocate(use);
  return network;
}

std::vector<std::string> model_names() {
  std::vector<std::string> names;
  for (const char* prefix : {"fixup_", ""}) {
    for (const std::string& name : resnet_plan_names()) names.push_back(prefix + name);
  }
  return names;
}

}  // namespace basin
