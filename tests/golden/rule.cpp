// The rule that draws weights and images gives the values PyTorch was given.
#include <doctest/doctest.h>

#include "tests/golden/golden.h"

namespace basin::golden {

TEST_CASE("generated values are those of the golden files") {
  for (const char* name : {"fixup_resnet20", "resnet20", "fixup_resnet18", "resnet18",
                           "fixup_resnet50", "fixup_resnet50_224", "resnet50"}) {
    CAPTURE(name);
    const ModelCase model = read_model_case(name);
    CHECK(model.samples.size() >= 3);
    for (const auto& [tensor, sample] : model.samples) {
      CAPTURE(tensor);
      const auto drawn = model.tensors.find(tensor);
      const double center = drawn == model.tensors.end() ? 0 : drawn->second.center;
      const double amplitude = drawn == model.tensors.end() ? 1 : drawn->second.amplitude;
      const auto x = values(tensor, static_cast<int64_t>(sample.size()), center, amplitude);
      CHECK(std::vector<double>(x.begin(), x.end()) == sample);
    }
  }
}

TEST_CASE("layouts") {
  const std::vector<double> last = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};  // [1, 2, 3, 2]
  const std::vector<double> first = {1, 3, 5, 7, 9, 11, 2, 4, 6, 8, 10, 12};
  CHECK(channels_first(last, 1, 2, 3, 2) == first);
  CHECK(channels_last(first, 1, 2, 2, 3) == last);
}

}  // namespace basin::golden
