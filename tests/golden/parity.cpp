// The small networks compute what PyTorch computes on the same weights.
#include "tests/golden/parity.h"

namespace basin::golden {

TEST_CASE("small networks: first step") {
  for (const char* name : kSmallNetworks) check_first_step_in_single(name);
}

TEST_CASE("small networks: first step in double") {
  for (const char* name : kSmallNetworks) check_first_step_in_double(name);
}

TEST_CASE("small networks: ten steps") {
  for (const char* name : kSmallNetworks) check_ten_steps_in_single(name);
}

TEST_CASE("small networks: first step on the emulated device") {
  for (const char* name : kSmallNetworks) check_first_step_in_single(name, Device::kEmulated);
}

TEST_CASE("fixup_resnet20: ten steps on the emulated device") {
  check_ten_steps_in_single("fixup_resnet20", Device::kEmulated);
}
TEST_CASE("resnet20: ten steps on the emulated device") {
  check_ten_steps_in_single("resnet20", Device::kEmulated);
}

}  // namespace basin::golden
