// cuDNN 9 by the C functions of its graph API (cudnnBackend*), which are loaded, not linked.
#pragma once

#include <cudnn.h>

#include <cstdint>
#include <type_traits>
#include <utility>
#include <vector>

#include "kernels/device/shared_library.h"

namespace basin::cuda {

// The functions that are used.
struct CudnnFunctions {
  CudnnFunctions();
  // Throws Error with what cuDNN says about it.
  void check(cudnnStatus_t status, const char* what) const;

  SharedLibrary library;
#define BASIN_FUNCTION(member, name) \
  decltype(&name) member = library.function<decltype(&name)>(#name)
  BASIN_FUNCTION(get_version, cudnnGetVersion);
  BASIN_FUNCTION(create, cudnnCreate);
  BASIN_FUNCTION(destroy, cudnnDestroy);
  BASIN_FUNCTION(set_stream, cudnnSetStream);
  BASIN_FUNCTION(error_text, cudnnGetErrorString);
  BASIN_FUNCTION(last_error_text, cudnnGetLastErrorString);
  BASIN_FUNCTION(create_descriptor, cudnnBackendCreateDescriptor);
  BASIN_FUNCTION(destroy_descriptor, cudnnBackendDestroyDescriptor);
  BASIN_FUNCTION(set_attribute, cudnnBackendSetAttribute);
  BASIN_FUNCTION(get_attribute, cudnnBackendGetAttribute);
  BASIN_FUNCTION(finalize, cudnnBackendFinalize);
  BASIN_FUNCTION(execute, cudnnBackendExecute);
#undef BASIN_FUNCTION
};

// Loads them the first time. Throws Error where cuDNN 9 is missing.
const CudnnFunctions& cudnn();

// One descriptor of the backend, with typed attributes.
class Descriptor {
 public:
  // With attributes: name, value, name, value... `label` is for errors.
  template <class... Attributes>
  Descriptor(cudnnBackendDescriptorType_t type, const char* label, const Attributes&... attributes)
      : label_(label) {
    cudnn().check(cudnn().create_descriptor(type, &handle_), label);
    set_all(attributes...);
  }
  ~Descriptor() {
    if (handle_) cudnn().destroy_descriptor(handle_);
  }
  Descriptor(Descriptor&& other) noexcept
      : label_(other.label_), handle_(std::exchange(other.handle_, nullptr)) {}
  Descriptor& operator=(Descriptor&&) = delete;

  template <class T>
  void set(cudnnBackendAttributeName_t name, T value) {
    put(name, attribute_type<T>(), 1, &value);
  }
  void set(cudnnBackendAttributeName_t name, const std::vector<int64_t>& values) {
    put(name, CUDNN_TYPE_INT64, static_cast<int64_t>(values.size()), values.data());
  }
  void set(cudnnBackendAttributeName_t name, const std::vector<void*>& addresses) {
    put(name, CUDNN_TYPE_VOID_PTR, static_cast<int64_t>(addresses.size()), addresses.data());
  }
  void set(cudnnBackendAttributeName_t name, const Descriptor& value) {
    put(name, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &value.handle_);
  }
  void set(cudnnBackendAttributeName_t name, const std::vector<const Descriptor*>& values) {
    std::vector<cudnnBackendDescriptor_t> handles;
    for (const Descriptor* value : values) handles.push_back(value->handle_);
    put(name, CUDNN_TYPE_BACKEND_DESCRIPTOR, static_cast<int64_t>(handles.size()), handles.data());
  }

  template <class T>
  T get(cudnnBackendAttributeName_t name) const {
    T value{};
    fetch(name, attribute_type<T>(), 1, &value);
    return value;
  }
  template <class T>
  std::vector<T> get_all(cudnnBackendAttributeName_t name, int64_t most) const {
    std::vector<T> values(static_cast<size_t>(most));
    const int64_t count = fetch(name, attribute_type<T>(), most, values.data());
    values.resize(static_cast<size_t>(count < most ? count : most));
    return values;
  }
  // How many descriptors an attribute holds.
  int64_t count(cudnnBackendAttributeName_t name) const {
    return fetch(name, CUDNN_TYPE_BACKEND_DESCRIPTOR, 0, nullptr);
  }
  // The first `most` of them, which are of that type.
  std::vector<Descriptor> get_descriptors(cudnnBackendAttributeName_t name,
                                          cudnnBackendDescriptorType_t type, const char* label,
                                          int64_t most) const;

  // Whether cuDNN takes what was described; not every engine takes every problem.
  bool try_finalize() { return cudnn().finalize(handle_) == CUDNN_STATUS_SUCCESS; }
  Descriptor& finalize() {
    cudnn().check(cudnn().finalize(handle_), label_);
    return *this;
  }
  cudnnBackendDescriptor_t handle() const { return handle_; }

 private:
  template <class T>
  static constexpr cudnnBackendAttributeType_t attribute_type() {
    if constexpr (std::is_same_v<T, int64_t>) return CUDNN_TYPE_INT64;
    if constexpr (std::is_same_v<T, float>) return CUDNN_TYPE_FLOAT;
    if constexpr (std::is_same_v<T, bool>) return CUDNN_TYPE_BOOLEAN;
    if constexpr (std::is_same_v<T, cudnnPointwiseMode_t>) return CUDNN_TYPE_POINTWISE_MODE;
    if constexpr (std::is_same_v<T, cudnnHandle_t>) return CUDNN_TYPE_HANDLE;
    if constexpr (std::is_same_v<T, cudnnDataType_t>) return CUDNN_TYPE_DATA_TYPE;
    if constexpr (std::is_same_v<T, cudnnConvolutionMode_t>) return CUDNN_TYPE_CONVOLUTION_MODE;
    if constexpr (std::is_same_v<T, cudnnBackendHeurMode_t>) return CUDNN_TYPE_HEUR_MODE;
    if constexpr (std::is_same_v<T, cudnnBackendKnobType_t>) return CUDNN_TYPE_KNOB_TYPE;
    if constexpr (std::is_same_v<T, cudnnBackendNumericalNote_t>) return CUDNN_TYPE_NUMERICAL_NOTE;
  }
  void set_all() {}
  template <class Value, class... Rest>
  void set_all(cudnnBackendAttributeName_t name, const Value& value, const Rest&... rest) {
    set(name, value);
    set_all(rest...);
  }
  void put(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type, int64_t count,
           const void* values);
  // Returns how many there are.
  int64_t fetch(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type, int64_t most,
                void* values) const;

  const char* label_;
  cudnnBackendDescriptor_t handle_ = nullptr;
};

}  // namespace basin::cuda
