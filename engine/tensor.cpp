// Shapes and tensor handles.
#include "engine/tensor.h"

namespace basin {

int64_t size_of(DType dtype) {
  switch (dtype) {
    case DType::kF64:
      return 8;
    case DType::kBF16:
      return 2;
    case DType::kU8:
      return 1;
    default:
      return 4;
  }
}

const char* name_of(DType dtype) {
  switch (dtype) {
    case DType::kF32:
      return "f32";
    case DType::kF64:
      return "f64";
    case DType::kBF16:
      return "bf16";
    case DType::kU8:
      return "u8";
    default:
      return "i32";
  }
}

Shape::Shape(std::initializer_list<int64_t> sizes) : rank_(static_cast<int>(sizes.size())) {
  BASIN_CHECK(sizes.size() <= 4, "a tensor has at most 4 dimensions, got ", sizes.size());
  size_t at = 0;
  for (int64_t size : sizes) {
    BASIN_CHECK(size >= 0, "negative dimension ", size);
    sizes_[at++] = size;
  }
}

int64_t Shape::elements() const {
  int64_t product = 1;
  for (int i = 0; i < rank_; ++i) product *= (*this)[i];
  return product;
}

std::string Shape::text() const {
  std::string text = "[";
  for (int i = 0; i < rank_; ++i) text += (i ? ", " : "") + std::to_string((*this)[i]);
  return text + "]";
}

Tensor::Tensor(std::shared_ptr<Storage> storage, Shape shape, DType dtype)
    : content_(std::make_shared<Content>()) {
  content_->elements = shape.elements();
  BASIN_CHECK(!storage || storage->bytes() >= content_->elements * size_of(dtype), "storage of ",
              storage->bytes(), " bytes is too small for ", shape.text(), " of ", name_of(dtype));
  content_->address = storage ? static_cast<std::byte*>(storage->data()) : nullptr;
  content_->storage = std::move(storage);
  content_->shape = shape;
  content_->dtype = dtype;
}

Tensor Tensor::part(int64_t first, Shape shape) const {
  Tensor part(content_->storage, shape, dtype());
  BASIN_CHECK(first >= 0 && first + part.size() <= size(), "elements ", first, " to ",
              first + part.size(), " of a tensor of ", size());
  part.content_->address = content_->address + first * size_of(dtype());
  return part;
}

}  // namespace basin
