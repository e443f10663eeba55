// Loads cuDNN; attributes of its descriptors.
#include "kernels/conv2d/cudnn_backend.h"

#include "kernels/base/check.h"
#include "kernels/device/cuda.h"

namespace basin::cuda {
namespace {
constexpr const char* kRemedy =
    "install cuDNN 9, or put the folder of libcudnn.so.9 into LD_LIBRARY_PATH";
}  // namespace

CudnnFunctions::CudnnFunctions() : library(BASIN_CUDNN_LIBRARY, kRemedy) {
  const size_t version = get_version();
  BASIN_CHECK(version / 10000 == CUDNN_MAJOR, "cuDNN ", version, " was loaded, but ", CUDNN_MAJOR,
              ".x is needed; ", kRemedy);
}

void CudnnFunctions::check(cudnnStatus_t status, const char* what) const {
  if (status == CUDNN_STATUS_SUCCESS) return;
  char detail[1024] = "";
  last_error_text(detail, sizeof(detail));
  throw Error(concat("cuDNN: ", what, ": ", error_text(status), " ", detail));
}

const CudnnFunctions& cudnn() {
  static const CudnnFunctions functions;
  return functions;
}

void check_cudnn() {
  cudnn();
}

std::vector<Descriptor> Descriptor::get_descriptors(cudnnBackendAttributeName_t name,
                                                    cudnnBackendDescriptorType_t type,
                                                    const char* label, int64_t most) const {
  std::vector<Descriptor> found;
  std::vector<cudnnBackendDescriptor_t> handles;
  for (int64_t i = 0; i < most; ++i) handles.push_back(found.emplace_back(type, label).handle_);
  const int64_t count = fetch(name, CUDNN_TYPE_BACKEND_DESCRIPTOR, most, handles.data());
  while (static_cast<int64_t>(found.size()) > count) found.pop_back();
  return found;
}

void Descriptor::put(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type,
                     int64_t count, const void* values) {
  cudnn().check(cudnn().set_attribute(handle_, name, type, count, values), label_);
}

int64_t Descriptor::fetch(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type,
                          int64_t most, void* values) const {
  int64_t count = 0;
  cudnn().check(cudnn().get_attribute(handle_, name, type, most, &count, values), label_);
  return count;
}

}  // namespace basin::cuda
