// The handles of cuDNN and cuBLASLt, together.
#include "kernels/device/libraries.h"

#include "kernels/device/libraries_open.h"

namespace basin::cuda {

void check_libraries() {
  check_cudnn();
  check_cublas();
}

Libraries::Libraries(StreamHandle stream, const LibraryOptions& options)
    : stream_(stream),
      options_(options),
      cudnn_(open_cudnn(stream, options)),
      cublas_(open_cublas(options)) {}

Libraries::~Libraries() = default;

int64_t Libraries::tuned() const {
  return cuda::tuned(*cudnn_);
}

}  // namespace basin::cuda
