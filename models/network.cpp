// Checks of what a forward pass is given.
#include "models/network.h"

namespace basin {

Tensor Network::forward(Tape& tape, const Tensor& images, Mode mode, const Tap& tap) {
  BASIN_CHECK(images.shape().rank() == 4 && images.shape()[3] == 3,
              "a network takes images [N,H,W,3], got ", images.shape().text());
  return run_modules(tape, convert(tape, images, state_.dtype()), mode, 0, state_.modules().size(),
                     tap);
}

Tensor Network::forward_range(Tape& tape, const Tensor& input, Mode mode, size_t begin,
                              size_t end) {
  BASIN_CHECK(begin <= end && end <= state_.modules().size(), "modules ", begin, "..", end, " of ",
              state_.modules().size());
  return run_modules(tape, convert(tape, input, state_.dtype()), mode, begin, end, nullptr);
}

}  // namespace basin
