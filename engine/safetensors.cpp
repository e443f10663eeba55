// The safetensors format (https://huggingface.co/docs/safetensors), read strictly.
#include "engine/safetensors.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <cstring>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>
#include <string_view>
#include <system_error>
#include <tuple>

#include "engine/files.h"
#include "kernels/base/check.h"

namespace basin {
namespace {

using nlohmann::json;

static_assert(std::endian::native == std::endian::little, "the format is little-endian");

constexpr uint64_t kLengthBytes = 8;
constexpr uint64_t kMaximumHeader = 100'000'000;  // the format's own limit
constexpr uint64_t kDataAlignment = 256;
constexpr const char* kMetadataKey = "__metadata__";

struct DtypeRow {
  FileDtype dtype;
  const char* name;
  uint64_t size;
};
constexpr std::array<DtypeRow, 10> kDtypes = {{
    {FileDtype::kF64, "F64", 8},
    {FileDtype::kF32, "F32", 4},
    {FileDtype::kF16, "F16", 2},
    {FileDtype::kBF16, "BF16", 2},
    {FileDtype::kI64, "I64", 8},
    {FileDtype::kI32, "I32", 4},
    {FileDtype::kI16, "I16", 2},
    {FileDtype::kI8, "I8", 1},
    {FileDtype::kU8, "U8", 1},
    {FileDtype::kBool, "BOOL", 1},
}};

const DtypeRow& row(FileDtype dtype) {
  return kDtypes.at(static_cast<size_t>(dtype));
}

// Multiplies the dimensions and the element size; false where a dimension is negative or the
// product does not fit 63 bits.
bool tensor_bytes(const std::vector<int64_t>& shape, FileDtype dtype, uint64_t* bytes) {
  int64_t product = static_cast<int64_t>(dtype_size(dtype));
  for (const int64_t dimension : shape) {
    if (dimension < 0 || __builtin_mul_overflow(product, dimension, &product)) return false;
  }
  *bytes = static_cast<uint64_t>(product);
  return true;
}

std::string shape_text(const std::vector<int64_t>& shape) {
  return json(shape).dump();
}

// Parses the header. nlohmann::json would keep the last of two equal keys and follow any depth of
// nesting; both are refused here.
json parse_header(std::string_view text, const std::string& where) {
  BASIN_CHECK(text.starts_with('{'), where,
              "the header is not a JSON object; it must begin with {");
  // The parser takes a zero byte for the end of its input.
  BASIN_CHECK(text.find('\0') == std::string_view::npos, where, "zero byte in the header");
  std::vector<std::set<std::string>> open_objects;
  const auto watch = [&](int depth, json::parse_event_t event, const json& parsed) {
    if (event == json::parse_event_t::object_start || event == json::parse_event_t::array_start) {
      BASIN_CHECK(depth < 3, where, "the header is nested too deeply");
    }
    if (event == json::parse_event_t::object_start) open_objects.emplace_back();
    if (event == json::parse_event_t::object_end) open_objects.pop_back();
    if (event == json::parse_event_t::key) {
      const auto& key = parsed.get_ref<const std::string&>();
      BASIN_CHECK(open_objects.back().insert(key).second, where, "the key '", key,
                  "' appears twice in the header");
    }
    return true;
  };
  try {
    return json::parse(text, watch);
  } catch (const json::exception& error) {
    throw Error(concat(where, "the header is not valid JSON: ", error.what()));
  }
}

// One entry of the header. `where` names file and tensor.
TensorInfo parse_tensor(const std::string& name, const json& entry, uint64_t data_size,
                        const std::string& where) {
  BASIN_CHECK(entry.is_object(), where, "the header entry is not an object");
  for (const char* key : {"dtype", "shape", "data_offsets"}) {
    BASIN_CHECK(entry.contains(key), where, "'", key, "' is missing");
  }
  BASIN_CHECK(entry.size() == 3, where,
              "the header entry has fields besides dtype, shape and data_offsets");

  TensorInfo info;
  info.name = name;

  const json& dtype = entry["dtype"];
  BASIN_CHECK(dtype.is_string(), where, "dtype is not a string");
  const auto* found = std::find_if(kDtypes.begin(), kDtypes.end(), [&](const DtypeRow& candidate) {
    return dtype.get_ref<const std::string&>() == candidate.name;
  });
  BASIN_CHECK(found != kDtypes.end(), where, "unknown dtype ", dtype.dump(),
              "; known are F64 F32 F16 BF16 I64 I32 I16 I8 U8 BOOL");
  info.dtype = found->dtype;

  const json& shape = entry["shape"];
  BASIN_CHECK(shape.is_array(), where, "shape is not an array");
  for (const json& dimension : shape) {
    // Unsigned is what the parser calls a whole number from 0 to 2^64 - 1.
    BASIN_CHECK(
        dimension.is_number_unsigned() &&
            dimension.get<uint64_t>() <= static_cast<uint64_t>(std::numeric_limits<int64_t>::max()),
        where, "shape has the dimension ", dimension.dump(),
        "; dimensions are whole numbers from 0 to 2^63 - 1");
    info.shape.push_back(dimension.get<int64_t>());
  }
  uint64_t bytes = 0;
  BASIN_CHECK(tensor_bytes(info.shape, info.dtype, &bytes), where, "shape ", shape_text(info.shape),
              " overflows 64 bits");

  const json& offsets = entry["data_offsets"];
  BASIN_CHECK(offsets.is_array() && offsets.size() == 2 && offsets[0].is_number_unsigned() &&
                  offsets[1].is_number_unsigned(),
              where, "data_offsets is not a pair of whole numbers");
  info.begin = offsets[0].get<uint64_t>();
  info.end = offsets[1].get<uint64_t>();
  BASIN_CHECK(info.begin <= info.end, where, "data_offsets [", info.begin, ", ", info.end,
              "] end before they begin");
  BASIN_CHECK(info.end <= data_size, where, "data_offsets [", info.begin, ", ", info.end,
              "] lie outside the file, which has ", data_size,
              " bytes of data; the file may be truncated");
  BASIN_CHECK(info.end - info.begin == bytes, where, "data_offsets span ", info.end - info.begin,
              " bytes, but shape ", shape_text(info.shape), " of ", found->name, " needs ", bytes);
  return info;
}

float half_to_float(uint16_t half) {
  const uint32_t sign = static_cast<uint32_t>(half & 0x8000u) << 16;
  const uint32_t exponent = (half >> 10) & 0x1fu;
  const uint32_t mantissa = half & 0x3ffu;
  if (exponent == 0) {  // zero and subnormal numbers: mantissa * 2^-24
    const float magnitude = static_cast<float>(mantissa) * 0x1p-24f;
    return std::bit_cast<float>(std::bit_cast<uint32_t>(magnitude) | sign);
  }
  const uint32_t float_exponent = exponent == 31 ? 255 : exponent + (127 - 15);
  return std::bit_cast<float>(sign | (float_exponent << 23) | (mantissa << 13));
}

float bfloat_to_float(uint16_t bits) {
  return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16);
}

// out[i] = convert(i-th Stored value). The bytes need not be aligned.
template <class Stored, class T, class Convert>
void convert_all(const std::byte* bytes, int64_t count, T* out, const Convert& convert) {
  for (int64_t i = 0; i < count; ++i) {
    Stored value;
    std::memcpy(&value, bytes + i * static_cast<int64_t>(sizeof(Stored)), sizeof(Stored));
    out[i] = static_cast<T>(convert(value));
  }
}

template <class T>
void read_as(const std::byte* bytes, const TensorInfo& info, const std::string& where, T* out) {
  const int64_t count = info.elements();
  const auto same = [](auto value) { return value; };
  switch (info.dtype) {
    case FileDtype::kF64:
      return convert_all<double>(bytes, count, out, same);
    case FileDtype::kF32:
      return convert_all<float>(bytes, count, out, same);
    case FileDtype::kF16:
      return convert_all<uint16_t>(bytes, count, out, half_to_float);
    case FileDtype::kBF16:
      return convert_all<uint16_t>(bytes, count, out, bfloat_to_float);
    default:
      throw Error(concat(where, "dtype ", dtype_name(info.dtype),
                         " is not a floating-point type; read its bytes through data()"));
  }
}

std::string place(const std::filesystem::path& path) {
  return concat("safetensors file '", path.string(), "': ");
}
std::string place(const std::filesystem::path& path, const std::string& tensor) {
  return concat(place(path), "tensor '", tensor, "': ");
}

}  // namespace

uint64_t dtype_size(FileDtype dtype) {
  return row(dtype).size;
}
const char* dtype_name(FileDtype dtype) {
  return row(dtype).name;
}

void SafetensorsReader::Unmap::operator()(const std::byte* address) const {
  ::munmap(const_cast<std::byte*>(address), size);
}

SafetensorsReader::SafetensorsReader(const std::filesystem::path& path) : path_(path) {
  const std::string where = place(path);
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  BASIN_CHECK(descriptor >= 0, where, "cannot open: ", std::generic_category().message(errno));
  struct Closer {
    int descriptor;
    ~Closer() { ::close(descriptor); }
  } closer{descriptor};

  struct stat status = {};
  BASIN_CHECK(::fstat(descriptor, &status) == 0, where,
              "cannot open: ", std::generic_category().message(errno));
  BASIN_CHECK(S_ISREG(status.st_mode), where, "not a regular file");
  const uint64_t file_size = static_cast<uint64_t>(status.st_size);
  BASIN_CHECK(file_size >= kLengthBytes, where, "truncated: ", file_size,
              " bytes, fewer than the 8 of the header length");

  void* address = ::mmap(nullptr, file_size, PROT_READ, MAP_PRIVATE, descriptor, 0);
  BASIN_CHECK(address != MAP_FAILED, where, "cannot map: ", std::generic_category().message(errno));
  file_ = {static_cast<const std::byte*>(address), Unmap{file_size}};

  uint64_t header_size = 0;
  std::memcpy(&header_size, file_.get(), kLengthBytes);
  BASIN_CHECK(header_size <= kMaximumHeader, where, "header length ", header_size,
              " is over the limit of ", kMaximumHeader, " bytes; this is no safetensors file");
  BASIN_CHECK(header_size <= file_size - kLengthBytes, where, "header length ", header_size,
              " is more than the file has (", file_size, " bytes); it may be truncated");
  data_ = file_.get() + kLengthBytes + header_size;
  const uint64_t data_size = file_size - kLengthBytes - header_size;

  const std::string_view text(reinterpret_cast<const char*>(file_.get()) + kLengthBytes,
                              header_size);
  const json header = parse_header(text, where);
  for (const auto& [name, entry] : header.items()) {
    if (name == kMetadataKey) {
      BASIN_CHECK(entry.is_object(), where, "__metadata__ is not an object");
      for (const auto& [key, value] : entry.items()) {
        BASIN_CHECK(value.is_string(), where, "__metadata__ entry '", key, "' is not a string");
        metadata_[key] = value.get<std::string>();
      }
    } else {
      tensors_.push_back(parse_tensor(name, entry, data_size, place(path, name)));
    }
  }

  std::sort(tensors_.begin(), tensors_.end(), [](const TensorInfo& a, const TensorInfo& b) {
    return std::tie(a.begin, a.end, a.name) < std::tie(b.begin, b.end, b.name);
  });
  uint64_t expected = 0;
  for (size_t i = 0; i < tensors_.size(); ++i) {
    const TensorInfo& info = tensors_[i];
    BASIN_CHECK(info.begin >= expected, place(path, info.name), "its bytes, from ", info.begin,
                ", overlap those of '", tensors_[i ? i - 1 : 0].name, "', which end at ", expected);
    BASIN_CHECK(info.begin == expected, place(path, info.name), "its bytes begin at ", info.begin,
                ", leaving a hole after ", expected);
    expected = info.end;
    index_[info.name] = i;
  }
  BASIN_CHECK(expected == data_size, where, data_size - expected,
              " trailing bytes belong to no tensor");
}

const TensorInfo* SafetensorsReader::find(const std::string& name) const {
  const auto found = index_.find(name);
  return found == index_.end() ? nullptr : &tensors_[found->second];
}

const std::byte* SafetensorsReader::data(const TensorInfo& info) const {
  const TensorInfo* own = find(info.name);
  BASIN_CHECK(own != nullptr && *own == info, place(path_, info.name), "not a tensor of this file");
  return data_ + info.begin;
}

void SafetensorsReader::read_f32(const TensorInfo& info, float* out) const {
  read_as(data(info), info, place(path_, info.name), out);
}

void SafetensorsReader::read_f64(const TensorInfo& info, double* out) const {
  read_as(data(info), info, place(path_, info.name), out);
}

void SafetensorsWriter::add(const std::string& name, FileDtype dtype,
                            const std::vector<int64_t>& shape, const void* data) {
  const std::string where = concat("cannot store tensor '", name, "': ");
  BASIN_CHECK(name != kMetadataKey, where, "the name is reserved by the format");
  uint64_t bytes = 0;
  BASIN_CHECK(tensor_bytes(shape, dtype, &bytes), where, "shape ", shape_text(shape),
              " is negative or overflows 64 bits");
  BASIN_CHECK(bytes <= static_cast<uint64_t>(std::numeric_limits<int64_t>::max()) - size_, where,
              "the file would be larger than 2^63 bytes");
  BASIN_CHECK(data != nullptr || bytes == 0, where, "no data");
  BASIN_CHECK(index_.emplace(name, tensors_.size()).second, where, "the name is used twice");
  tensors_.push_back({name, dtype, shape, size_, size_ + bytes});
  data_.push_back(data);
  size_ += bytes;
}

void SafetensorsWriter::write(const std::filesystem::path& path) const {
  // Put together by hand, as an ordinary json object would sort the names.
  std::string header;
  try {
    header = concat("{", json(kMetadataKey).dump(), ":", json(metadata_).dump());
    for (const TensorInfo& info : tensors_) {
      header += concat(",", json(info.name).dump(), ":{\"dtype\":\"", dtype_name(info.dtype),
                       "\",\"shape\":", shape_text(info.shape), ",\"data_offsets\":[", info.begin,
                       ",", info.end, "]}");
    }
  } catch (const json::exception& error) {
    throw Error(concat(place(path), "a name or a metadata text is not UTF-8: ", error.what()));
  }
  header += "}";
  const uint64_t before_data = kLengthBytes + header.size();
  header.append((kDataAlignment - before_data % kDataAlignment) % kDataAlignment, ' ');
  const uint64_t header_size = header.size();
  BASIN_CHECK(header_size <= kMaximumHeader, place(path), "the header would have ", header_size,
              " bytes; the format allows ", kMaximumHeader);

  AtomicFile file(path);
  file.write(&header_size, kLengthBytes);
  file.write(header.data(), header.size());
  for (size_t i = 0; i < tensors_.size(); ++i) {
    file.write(data_[i], tensors_[i].end - tensors_[i].begin);
  }
  file.commit();
}

}  // namespace basin
