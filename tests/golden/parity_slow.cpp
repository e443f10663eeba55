// The ImageNet networks, and the small ones over ten steps in double, compute what PyTorch computes
// on the same weights.
#include "tests/golden/parity.h"

namespace basin::golden {

TEST_CASE("fixup_resnet18: first step") {
  check_first_step_in_single("fixup_resnet18");
}
TEST_CASE("resnet18: first step") {
  check_first_step_in_single("resnet18");
}
TEST_CASE("fixup_resnet50: first step") {
  check_first_step_in_single("fixup_resnet50");
}
TEST_CASE("resnet50: first step") {
  check_first_step_in_single("resnet50");
}

TEST_CASE("fixup_resnet18: ten steps") {
  check_ten_steps_in_single("fixup_resnet18");
}
TEST_CASE("resnet18: ten steps") {
  check_ten_steps_in_single("resnet18");
}
TEST_CASE("fixup_resnet50: ten steps") {
  check_ten_steps_in_single("fixup_resnet50");
}
TEST_CASE("resnet50: ten steps") {
  check_ten_steps_in_single("resnet50");
}

TEST_CASE("fixup_resnet50: first step in double") {
  check_first_step_in_double("fixup_resnet50");
}
TEST_CASE("resnet50: first step in double") {
  check_first_step_in_double("resnet50");
}

// The paper's image size has so many activations that some lie within rounding of a kink:
// README.md.
TEST_CASE("fixup_resnet50 at 224x224: first step") {
  ModelRun<float>("fixup_resnet50_224").check_first_step(1e-4, 2e-3);
}

TEST_CASE("fixup_resnet20: ten steps in double") {
  check_ten_steps_in_double("fixup_resnet20");
}
TEST_CASE("resnet20: ten steps in double") {
  check_ten_steps_in_double("resnet20");
}

}  // namespace basin::golden
