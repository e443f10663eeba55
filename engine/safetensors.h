// Named tensors in a file, in the safetensors format that PyTorch users read and write too:
// 8 bytes little-endian header length, a JSON header, the tensors' bytes without gaps.
// docs/checkpoint.md says what Basin stores with it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace basin {

enum class FileDtype { kF64, kF32, kF16, kBF16, kI64, kI32, kI16, kI8, kU8, kBool };

// Bytes of one element, and its name in the file ("F32").
uint64_t dtype_size(FileDtype dtype);
const char* dtype_name(FileDtype dtype);

struct TensorInfo {
  std::string name;
  FileDtype dtype;
  std::vector<int64_t> shape;  // no dimension: a scalar, one element
  uint64_t begin, end;         // bytes [begin, end), counted from the first byte after the header

  int64_t elements() const { return static_cast<int64_t>((end - begin) / dtype_size(dtype)); }
  bool operator==(const TensorInfo&) const = default;
};

// Opens a file and checks all of its header before any tensor is touched: a file that is not in
// order throws Error with the path, the tensor and what is wrong. The tensors are mapped into
// memory, not copied; the file may be replaced by a new one while it is open (AtomicFile does so),
// but must not be shortened in place.
class SafetensorsReader {
 public:
  explicit SafetensorsReader(const std::filesystem::path& path);

  const std::filesystem::path& path() const { return path_; }
  // In the order of their bytes in the file.
  const std::vector<TensorInfo>& tensors() const { return tensors_; }
  // Null where there is no such tensor. Valid as long as the reader.
  const TensorInfo* find(const std::string& name) const;
  const std::map<std::string, std::string>& metadata() const { return metadata_; }

  // The tensor's bytes, row-major and little-endian, valid as long as the reader; not necessarily
  // aligned to the element type.
  const std::byte* data(const TensorInfo& info) const;
  // All elements of a tensor of type F64, F32, F16 or BF16, converted (F64 to float rounds to
  // nearest). `out` has room for info.elements(). Other types throw Error.
  void read_f32(const TensorInfo& info, float* out) const;
  void read_f64(const TensorInfo& info, double* out) const;

 private:
  struct Unmap {
    size_t size;
    void operator()(const std::byte* address) const;
  };

  std::filesystem::path path_;
  std::unique_ptr<const std::byte, Unmap> file_;
  const std::byte* data_ = nullptr;
  std::vector<TensorInfo> tensors_;
  std::map<std::string, size_t> index_;  // name -> position in tensors_
  std::map<std::string, std::string> metadata_;
};

// Collects tensors and writes them as one file. The tensors' bytes begin at a multiple of 256 and
// follow each other in the order of add().
class SafetensorsWriter {
 public:
  // Remembers `data` (row-major elements of type `dtype`), which must stay valid until write().
  // Throws Error on a name used twice or a negative or overflowing shape.
  void add(const std::string& name, FileDtype dtype, const std::vector<int64_t>& shape,
           const void* data);
  // Stores a text beside the tensors. "format" is "pt" unless set: PyTorch users' readers ask for
  // it.
  void set_metadata(const std::string& key, const std::string& value) { metadata_[key] = value; }
  // Writes the file as AtomicFile does. Throws Error.
  void write(const std::filesystem::path& path) const;

 private:
  std::vector<TensorInfo> tensors_;
  std::vector<const void*> data_;
  std::map<std::string, std::string> metadata_{{"format", "pt"}};
  std::map<std::string, size_t> index_;
  uint64_t size_ = 0;  // bytes of all tensors
};

}  // namespace basin
