// Dense tensors of at most four dimensions: no strides, no broadcasting, no views but parts.
#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <string>
#include <utility>

#include "engine/arena.h"
#include "kernels/base/bf16.h"
#include "kernels/base/check.h"

namespace basin {

enum class DType { kF32, kF64, kBF16, kU8, kI32 };

int64_t size_of(DType dtype);
const char* name_of(DType dtype);
// The type of parameters, statistics and scalars where activations are of `dtype`, as
// ParameterType of kernels/base/types.h: f32 for bf16, else the same.
constexpr DType parameter_dtype(DType dtype) {
  return dtype == DType::kBF16 ? DType::kF32 : dtype;
}

template <class T>
constexpr DType dtype_of();
template <>
constexpr DType dtype_of<float>() {
  return DType::kF32;
}
template <>
constexpr DType dtype_of<double>() {
  return DType::kF64;
}
template <>
constexpr DType dtype_of<Bf16>() {
  return DType::kBF16;
}
template <>
constexpr DType dtype_of<uint8_t>() {
  return DType::kU8;
}
template <>
constexpr DType dtype_of<int32_t>() {
  return DType::kI32;
}

// Sizes of up to four dimensions, row-major; images NHWC, convolution weights KRSC.
class Shape {
 public:
  Shape() = default;
  Shape(std::initializer_list<int64_t> sizes);
  int rank() const { return rank_; }
  int64_t operator[](int dimension) const { return sizes_[static_cast<size_t>(dimension)]; }
  int64_t elements() const;
  bool operator==(const Shape&) const = default;
  std::string text() const;  // "[2, 3, 4]"

 private:
  std::array<int64_t, 4> sizes_{};
  int rank_ = 0;
};

class Tensor;

// Where the gradient of a tensor is gathered. It outlives the tensor's elements: a closure that
// needs only to pass a gradient on holds the slot and lets the elements go.
struct GradientSlot {
  Shape shape;
  DType dtype;
  bool parameter;                    // the gradient's memory belongs to a State
  bool written = false;              // in the current step
  std::unique_ptr<Tensor> gradient;  // null until first written, unless a parameter's
};
using GradientSlotHandle = std::shared_ptr<GradientSlot>;

// A handle: copies share elements and gradient. Empty when default-constructed.
class Tensor {
 public:
  Tensor() = default;
  Tensor(std::shared_ptr<Storage> storage, Shape shape, DType dtype);

  explicit operator bool() const { return content_ != nullptr; }
  const Shape& shape() const { return content_->shape; }
  DType dtype() const { return content_->dtype; }
  int64_t size() const { return content_->elements; }
  bool requires_gradient() const { return content_ && content_->slot; }
  // Null where no gradient is wanted.
  GradientSlotHandle slot() const { return content_ ? content_->slot : nullptr; }

  template <class T>
  T* data() const {
    BASIN_CHECK(content_->dtype == dtype_of<T>(), "a tensor of ", name_of(content_->dtype),
                " was read as ", name_of(dtype_of<T>()));
    return reinterpret_cast<T*>(content_->address);
  }
  // Same, null for an empty handle.
  template <class T>
  T* data_or_null() const {
    return content_ ? data<T>() : nullptr;
  }

  // The gradient; only when has_gradient().
  const Tensor& gradient() const { return *content_->slot->gradient; }
  bool has_gradient() const { return requires_gradient() && content_->slot->written; }

  // The elements from `first` on as a tensor of their own, without gradient, in the same memory.
  Tensor part(int64_t first, Shape shape) const;

  bool same_as(const Tensor& other) const { return content_ == other.content_; }

 private:
  friend class Tape;
  friend class State;
  struct Content {
    std::shared_ptr<Storage> storage;
    std::byte* address = nullptr;
    Shape shape;
    DType dtype = DType::kF32;
    int64_t elements = 0;
    GradientSlotHandle slot;
  };
  std::shared_ptr<Content> content_;
};

// Calls f.operator()<float>() or <double>() as `dtype` says: for what is never of another type,
// such as parameters and losses.
template <class F>
decltype(auto) dispatch_parameters(DType dtype, F&& f) {
  if (dtype == DType::kF64) return f.template operator()<double>();
  BASIN_CHECK(dtype == DType::kF32, "this computes in f32 or f64, not in ", name_of(dtype));
  return f.template operator()<float>();
}

// The same, or <Bf16>(): for activations.
template <class F>
decltype(auto) dispatch(DType dtype, F&& f) {
  if (dtype == DType::kBF16) return f.template operator()<Bf16>();
  return dispatch_parameters(dtype, std::forward<F>(f));
}

}  // namespace basin
