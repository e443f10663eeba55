// The networks compute on a GPU what PyTorch computes on the same weights.
#include "tests/golden/parity.h"
#include "tests/gpu/gpu.h"
#include "tests/support/temporary_folder.h"

namespace basin::golden {
namespace {

void check_on_gpu(const std::string& name) {
  if (!test::gpu_at_hand()) return;
  const TemporaryFolder folder;
  StreamOptions options;
  options.plan_file = (folder.path / "convolutions.plan").string();  // chosen once for both
  check_first_step_in_single(name, Device::kCuda, options);
  check_ten_steps_in_single(name, Device::kCuda, options);
}

}  // namespace

TEST_CASE("gpu parity: fixup_resnet20") {
  check_on_gpu("fixup_resnet20");
}
TEST_CASE("gpu parity: resnet20") {
  check_on_gpu("resnet20");
}
TEST_CASE("gpu parity: fixup_resnet50") {
  check_on_gpu("fixup_resnet50");
}
TEST_CASE("gpu parity: resnet50") {
  check_on_gpu("resnet50");
}

}  // namespace basin::golden
