// The ImageNet networks, and the small ones over ten steps in double, compute what PyTorch computes
// on the same weights.
#include "tests/golden/parity.h"

namespace basin::golden {

constexpr const char* kImageNetNetworks[] = {"fixup_resnet18", "resnet18", "fixup_resnet50",
                                             "resnet50"};

TEST_CASE("ImageNet networks: first step") {
  for (const char* name : kImageNetNetworks) check_first_step_in_single(name);
}

TEST_CASE("ImageNet networks: ten steps") {
  for (const char* name : kImageNetNetworks) check_ten_steps_in_single(name);
}

TEST_CASE("ImageNet networks: first step in double") {
  for (const char* name : {"fixup_resnet50", "resnet50"}) check_first_step_in_double(name);
}

// The paper's image size has so many activations that some are within rounding of a kink:
// README.md.
TEST_CASE("fixup_resnet50 at 224x224: first step") {
  ModelRun<float>("fixup_resnet50_224").check_first_step(1e-4, 2e-3);
}

TEST_CASE("small networks: ten steps in double") {
  for (const char* name : kSmallNetworks) {
    CAPTURE(name);
    ModelRun<double> run(name);
    run.check_losses(1e-11);
    run.check_updates(1e-11);
  }
}

}  // namespace basin::golden
