// Counts, names, shapes and modules of the networks against torchvision and the reference's Fixup
// network.
#include <doctest/doctest.h>

#include <set>

#include "models/network.h"
#include "models/registry.h"
#include "tests/support/errors.h"

using namespace basin;
using namespace basin::test;

namespace {

struct Networks {
  Stream stream{Device::kCpu};

  std::unique_ptr<Network> network_of(const std::string& name, int64_t classes, int64_t width = 0) {
    return make_network({.name = name, .classes = classes, .width = width}, DType::kF32, stream,
                        State::Use::kValuesOnly);
  }
};

void check_shapes(const State& state, const std::vector<std::pair<const char*, Shape>>& shapes) {
  for (const auto& [name, shape] : shapes) {
    const State::Entry* entry = state.find(name);
    REQUIRE_MESSAGE(entry, name);
    CHECK(entry->shape == shape);
    CHECK(entry->buffer == (std::string(name).find("running") != std::string::npos));
  }
}

const std::vector<std::string> kModules50 = {
    "conv1",    "layer1.0", "layer1.1", "layer1.2", "layer2.0", "layer2.1",
    "layer2.2", "layer2.3", "layer3.0", "layer3.1", "layer3.2", "layer3.3",
    "layer3.4", "layer3.5", "layer4.0", "layer4.1", "layer4.2", "fc"};

}  // namespace

TEST_CASE_FIXTURE(Networks, "fixup_resnet50 has the reference's parameters") {
  const std::pair<int64_t, int64_t> totals[] = {
      {345, 24'161'931}, {5, 23'465'271}, {1000, 25'504'026}};
  for (const auto& [classes, total] : totals) {
    const auto network = network_of("fixup_resnet50", classes);
    CHECK(network->state().parameter_count() == total);
    int64_t convolutions = 0, scalars = 0;
    for (const State::Entry& entry : network->state().entries()) {
      CHECK(!entry.buffer);
      if (entry.shape.rank() == 4) convolutions += entry.shape.elements();
      if (entry.shape == Shape{1}) ++scalars;
    }
    CHECK(convolutions == 23'454'912);
    CHECK(scalars == 114);
  }
}

TEST_CASE_FIXTURE(Networks, "ResNets have torchvision's parameters") {
  const std::pair<const char*, int64_t> counts[] = {{"resnet18", 11'689'512},
                                                    {"resnet34", 21'797'672},
                                                    {"resnet50", 25'557'032},
                                                    {"resnet101", 44'549'160},
                                                    {"resnet152", 60'192'808}};
  for (const auto& [name, count] : counts) {
    CHECK_MESSAGE(network_of(name, 1000)->state().parameter_count() == count, name);
  }
}

TEST_CASE_FIXTURE(Networks, "CIFAR networks have the parameters counted by hand") {
  // resnet20 with 1x1 convolutions and norms where the shape changes: convolutions 432 +
  // 6*2304 + (4608 + 5*9216 + 512) + (18432 + 5*36864 + 2048), norms 2*(7*16 + 7*32 + 7*64),
  // fc 650
  CHECK(network_of("resnet20", 10)->state().parameter_count() ==
        432 + 13824 + 51200 + 204800 + 1568 + 650);
  // Fixup: the same convolutions, 5 scalars in each of 9 blocks, bias1, bias2
  CHECK(network_of("fixup_resnet20", 10)->state().parameter_count() ==
        432 + 13824 + 51200 + 204800 + 9 * 5 + 2 + 650);
}

TEST_CASE_FIXTURE(Networks, "resnet50 has torchvision's names and shapes") {
  const auto network = network_of("resnet50", 1000);
  const State& state = network->state();
  CHECK(state.entries().size() == 267);  // 320 in PyTorch with 53 num_batches_tracked
  check_shapes(state, {{"conv1.weight", {64, 7, 7, 3}},
                       {"bn1.weight", {64}},
                       {"bn1.bias", {64}},
                       {"bn1.running_mean", {64}},
                       {"bn1.running_var", {64}},
                       {"layer1.0.conv1.weight", {64, 1, 1, 64}},
                       {"layer1.0.conv2.weight", {64, 3, 3, 64}},
                       {"layer1.0.conv3.weight", {256, 1, 1, 64}},
                       {"layer1.0.bn3.running_var", {256}},
                       {"layer1.0.downsample.0.weight", {256, 1, 1, 64}},
                       {"layer1.0.downsample.1.bias", {256}},
                       {"layer1.1.conv1.weight", {64, 1, 1, 256}},
                       {"layer2.0.conv1.weight", {128, 1, 1, 256}},
                       {"layer2.0.downsample.0.weight", {512, 1, 1, 256}},
                       {"layer4.2.conv3.weight", {2048, 1, 1, 512}},
                       {"layer4.2.bn3.running_mean", {2048}},
                       {"fc.weight", {1000, 2048}},
                       {"fc.bias", {1000}}});
  CHECK(!state.find("layer1.1.downsample.0.weight"));
  CHECK(state.find("layer3.5.conv3.weight"));
  CHECK(!state.find("layer3.6.conv3.weight"));
}

TEST_CASE_FIXTURE(Networks, "fixup_resnet50 has the reference's names and shapes") {
  const auto network = network_of("fixup_resnet50", 345);
  const State& state = network->state();
  // stem 2, blocks 16 * (3 + 7) + 4 downsamples, head 3
  CHECK(state.entries().size() == 2 + 160 + 4 + 3);
  check_shapes(state, {{"conv1.weight", {64, 7, 7, 3}},
                       {"bias1", {1}},
                       {"layer1.0.bias1a", {1}},
                       {"layer1.0.conv1.weight", {64, 1, 1, 64}},
                       {"layer1.0.bias1b", {1}},
                       {"layer1.0.bias2a", {1}},
                       {"layer1.0.conv2.weight", {64, 3, 3, 64}},
                       {"layer1.0.bias2b", {1}},
                       {"layer1.0.bias3a", {1}},
                       {"layer1.0.conv3.weight", {256, 1, 1, 64}},
                       {"layer1.0.scale", {1}},
                       {"layer1.0.bias3b", {1}},
                       {"layer1.0.downsample.weight", {256, 1, 1, 64}},
                       {"layer4.0.downsample.weight", {2048, 1, 1, 1024}},
                       {"bias2", {1}},
                       {"fc.weight", {345, 2048}},
                       {"fc.bias", {345}}});
  CHECK(state.find("bias1")->module == "conv1");
  CHECK(state.find("bias2")->module == "fc");
  CHECK(state.find("layer2.0.downsample.weight")->module == "layer2.0");
}

TEST_CASE_FIXTURE(Networks, "the modules of depth 50 are the paper's 18, in its order") {
  for (const char* name : {"fixup_resnet50", "resnet50", "fixup_resnet50_32", "resnet50_32"}) {
    CHECK(network_of(name, 5, 2)->state().modules() == kModules50);
  }
  CHECK(network_of("fixup_resnet8", 5)->state().modules() ==
        std::vector<std::string>{"conv1", "layer1.0", "layer2.0", "layer3.0", "fc"});
}

TEST_CASE_FIXTURE(
    Networks, "every known name makes a network, and an unknown one is answered with all of them") {
  const std::vector<std::string> names = model_names();
  CHECK(std::set<std::string>(names.begin(), names.end()).size() == names.size());
  for (const std::string& name : names) {
    const auto network = network_of(name, 3, 2);
    CHECK(network->options().name == name);
    CHECK(network->has_batch_norm() == !name.starts_with("fixup_"));
    CHECK(network->state().parameter_count() > 0);
  }
  for (const char* wrong : {"resnet51", "fixup_resnet", "", "fixup_fixup_resnet50", "vgg16"}) {
    const std::string message = error_of([&] { network_of(wrong, 3); });
    CHECK(contains(message, concat("'", wrong, "'")));
    for (const std::string& name : names) CHECK(contains(message, name));
  }
  CHECK(contains(error_of([&] { network_of("resnet8", 0); }), "class"));
  CHECK(contains(error_of([&] { network_of("resnet8", 3, -1); }), "--width"));
}
