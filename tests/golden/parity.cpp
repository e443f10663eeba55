// The small networks compute what PyTorch computes on the same weights.
#include "tests/golden/parity.h"

namespace basin::golden {

TEST_CASE("fixup_resnet20: first step") {
  check_first_step_in_single("fixup_resnet20");
}
TEST_CASE("resnet20: first step") {
  check_first_step_in_single("resnet20");
}

TEST_CASE("fixup_resnet20: the emulated device") {
  check_first_step_in_single("fixup_resnet20", Device::kEmulated);
  check_ten_steps_in_single("fixup_resnet20", Device::kEmulated);
}
TEST_CASE("resnet20: the emulated device") {
  check_first_step_in_single("resnet20", Device::kEmulated);
  check_ten_steps_in_single("resnet20", Device::kEmulated);
}

TEST_CASE("fixup_resnet20: first step in double") {
  check_first_step_in_double("fixup_resnet20");
}
TEST_CASE("resnet20: first step in double") {
  check_first_step_in_double("resnet20");
}

TEST_CASE("fixup_resnet20: ten steps") {
  check_ten_steps_in_single("fixup_resnet20");
}
TEST_CASE("resnet20: ten steps") {
  check_ten_steps_in_single("resnet20");
}

}  // namespace basin::golden
