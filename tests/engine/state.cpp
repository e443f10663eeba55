// The State: modules as ranges, weight surgery on them, distances, noise.
#include "engine/state.h"
#include "models/registry.h"

#include <doctest/doctest.h>

#include <cmath>
#include <cstring>

#include "tests/support/errors.h"
#include "tests/support/training.h"

using namespace basin;
using namespace basin::test;

namespace {

// Networks with batch norm have buffers too.
struct Three {
  Stream stream{Device::kCpu};
  std::unique_ptr<Network> a = small_network("resnet8", stream),
                           b = small_network("resnet8", stream),
                           c = small_network("resnet8", stream);
  Three() {
    randomise(*a, 1);
    randomise(*b, 2);
    randomise(*c, 3);
  }
};

// The elements that belong to no parameter.
bool padding_is_zero(const State& state) {
  const auto* values = static_cast<const float*>(state.flat_values());
  std::vector<bool> used(static_cast<size_t>(state.flat_size()), false);
  for (const State::Entry& entry : state.entries()) {
    if (entry.buffer) continue;
    for (int64_t i = 0; i < entry.shape.elements(); ++i) {
      used[static_cast<size_t>(entry.offset + i)] = true;
    }
  }
  for (size_t i = 0; i < used.size(); ++i) {
    if (!used[i] && values[i] != 0) return false;
  }
  return true;
}

}  // namespace

TEST_CASE("modules are contiguous ranges that cover all parameters and buffers in order") {
  Three nets;
  const State& state = nets.a->state();
  int64_t parameters = 0, buffers = 0;
  for (const std::string& module : state.modules()) {
    CHECK(state.parameter_range(module).begin == parameters);
    CHECK(state.buffer_range(module).begin == buffers);
    parameters = state.parameter_range(module).end;
    buffers = state.buffer_range(module).end;
  }
  CHECK(parameters == state.flat_size());
  CHECK(buffers > 0);
  for (const State::Entry& entry : state.entries()) {
    const State::Range range =
        entry.buffer ? state.buffer_range(entry.module) : state.parameter_range(entry.module);
    CHECK(entry.offset >= range.begin);
    CHECK(entry.offset + entry.shape.elements() <= range.end);
    CHECK(entry.offset % 64 == 0);
    if (!entry.buffer) {
      CHECK(entry.tensor.data<float>() ==
            static_cast<const float*>(state.flat_values()) + entry.offset);
      CHECK(entry.tensor.requires_gradient());
    } else {
      CHECK(!entry.tensor.requires_gradient());
    }
    CHECK(state.find(entry.name) == &entry);
  }
  CHECK(state.find("nothing") == nullptr);
}

TEST_CASE_FIXTURE(OnCpu, "wrong registration is refused") {
  State state(DType::kF32, stream);
  CHECK(contains(error_of([&] { state.add_parameter("early", {1}); }), "early"));
  state.begin_module("a");
  state.add_parameter("a.weight", {2, 3});
  state.begin_module("b");
  const std::string twice = error_of([&] { state.begin_module("a"); });
  CHECK(contains(twice, "module a was opened twice"));
  CHECK(contains(twice, "contiguous"));
  CHECK(contains(error_of([&] { state.add_buffer("a.weight", {1}); }), "a.weight"));
  state.allocate(State::Use::kValuesOnly);
  CHECK(contains(error_of([&] { state.add_parameter("late", {1}); }), "late"));
  CHECK(contains(error_of([&] { state.allocate(State::Use::kTraining); }), "once"));
  CHECK(contains(error_of([&] { state.flat_gradients(); }), "not allocated for training"));
  CHECK(contains(error_of([&] { state.flat_momentum(); }), "not allocated for training"));
  CHECK(!state.find("a.weight")->tensor.requires_gradient());
}

TEST_CASE("an unknown module is answered with the known ones") {
  Three nets;
  const std::string message = error_of([&] { nets.a->state().parameter_range("layer9.0"); });
  CHECK(contains(message, "layer9.0"));
  for (const std::string& module : nets.a->state().modules()) CHECK(contains(message, module));
  CHECK(error_of([&] { nets.a->state().buffer_range("layer9.0"); }) == message);
  CHECK(error_of([&] { nets.a->state().add_noise("layer9.0", 1, 1, 1); }) == message);
  CHECK(error_of([&] { nets.a->state().copy_module_from(nets.b->state(), "layer9.0"); }) ==
        message);
  CHECK(error_of([&] {
          nets.a->state().lerp_module(nets.b->state(), nets.c->state(), 0.5, "layer9.0");
        }) == message);
}

TEST_CASE("states of different networks do not mix") {
  Three nets;
  const auto other_classes = small_network("resnet8", nets.stream, 5);
  const auto fixup = small_network("fixup_resnet8", nets.stream);
  const auto in_double = make_network({.name = "resnet8", .classes = 3, .width = 4}, DType::kF64,
                                      nets.stream, State::Use::kValuesOnly);
  State& state = nets.a->state();
  CHECK(contains(error_of([&] { state.copy_from(other_classes->state()); }), "fc.weight"));
  CHECK(contains(error_of([&] { state.copy_from(fixup->state()); }), "different parameters"));
  CHECK(contains(error_of([&] { state.lerp(nets.b->state(), in_double->state(), 0.5); }), "f64"));
  CHECK(
      contains(error_of([&] { state.module_distances(fixup->state()); }), "different parameters"));
}

TEST_CASE("copying all modules one by one is copying everything, bit for bit") {
  Three nets;
  State& state = nets.a->state();
  CHECK(!same_values(state, nets.b->state()));
  const std::vector<std::string> modules = state.modules();
  for (size_t i = 0; i < modules.size(); ++i) {
    state.copy_module_from(nets.b->state(), modules[i]);
    const std::vector<double> distances = state.module_distances(nets.b->state());
    for (size_t m = 0; m < modules.size(); ++m) CHECK((distances[m] == 0) == (m <= i));
  }
  CHECK(same_values(state, nets.b->state()));
  state.copy_from(nets.c->state());
  CHECK(same_values(state, nets.c->state()));
  CHECK(padding_is_zero(state));
}

TEST_CASE("interpolation is exact at its ends, between equal states, and for one module") {
  Three nets;
  State &out = nets.c->state(), &a = nets.a->state(), &b = nets.b->state();
  a.entries()[1].tensor.data<float>()[0] = -0.0f;
  out.lerp(a, b, 0);
  CHECK(same_values(out, a));
  out.lerp(a, b, 1);
  CHECK(same_values(out, b));
  for (double t : {0.0, 0.1, 0.5, 1.0, 1.7, -0.3}) {
    out.lerp(a, a, t);
    CHECK(same_values(out, a));
  }
  out.lerp(a, b, 0.25);
  CHECK(padding_is_zero(out));
  const State::Entry* entry = out.find("bn1.running_var");  // buffers move too
  REQUIRE(entry);
  const float from = a.find(entry->name)->tensor.data<float>()[1];
  const float to = b.find(entry->name)->tensor.data<float>()[1];
  CHECK(entry->tensor.data<float>()[1] == doctest::Approx(0.75 * from + 0.25 * to));

  out.copy_from(a);
  out.lerp_module(a, b, 0.25, "layer2.0");
  const std::vector<double> moved = out.module_distances(a), whole = b.module_distances(a);
  for (size_t m = 0; m < out.modules().size(); ++m) {
    if (out.modules()[m] == "layer2.0") {
      CHECK(moved[m] == doctest::Approx(0.25 * whole[m]).epsilon(1e-5));
    } else {
      CHECK(moved[m] == 0);
    }
  }
}

TEST_CASE("the squared distance of two states is the sum over their modules") {
  Three nets;
  const State &a = nets.a->state(), &b = nets.b->state();
  double direct = 0, norm = 0;
  for (const State::Entry& entry : a.entries()) {
    if (entry.buffer) continue;
    const float* other = b.find(entry.name)->tensor.data<float>();
    for (int64_t i = 0; i < entry.shape.elements(); ++i) {
      const double value = entry.tensor.data<float>()[i], difference = value - other[i];
      direct += difference * difference;
      norm += value * value;
    }
  }
  double distances = 0, norms = 0;
  for (double d : a.module_distances(b)) distances += d * d;
  for (double d : a.module_norms()) norms += d * d;
  CHECK(distances == doctest::Approx(direct).epsilon(1e-12));
  CHECK(norms == doctest::Approx(norm).epsilon(1e-12));
  CHECK(a.module_distances(b) == b.module_distances(a));
}

TEST_CASE("noise moves one module's parameters, by place, seed and draw alone") {
  Three nets;
  State &a = nets.a->state(), &b = nets.b->state(), &c = nets.c->state();
  b.copy_from(a);
  c.copy_from(a);
  a.add_noise("layer1.0", 0.5, 7, 0);
  a.add_noise("layer2.0", 0.5, 7, 0);
  b.add_noise("layer2.0", 0.5, 7, 0);  // the other order, with a module in between
  b.add_noise("layer3.0", 0.0, 7, 0);
  b.add_noise("layer1.0", 0.5, 7, 0);
  CHECK(same_values(a, b));
  CHECK(padding_is_zero(a));
  const std::vector<double> moved = a.module_distances(c);
  for (size_t m = 0; m < moved.size(); ++m) {
    const std::string& module = a.modules()[m];
    CHECK((moved[m] > 0) == (module == "layer1.0" || module == "layer2.0"));
  }
  for (const State::Entry& entry : a.entries()) {
    if (entry.buffer) CHECK(same_values(entry, *c.find(entry.name)));
  }
  b.copy_from(c);
  b.add_noise("layer1.0", 0.5, 7, 1);
  CHECK(b.module_distances(a)[1] > 0);
}

TEST_CASE_FIXTURE(OnCpu, "training leaves the padding zero") {
  const auto network = small_network("fixup_resnet8", stream);
  randomise(*network, 1);
  Training training(*network);
  for (int i = 0; i < 3; ++i) training.step(arena, 0.1);
  CHECK(padding_is_zero(network->state()));
}
