// safetensors files: round trips of all types, a file made by PyTorch, and files that are not in
// order, from a table and from random mutation.
#include "engine/safetensors.h"

#include <doctest/doctest.h>

#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <fstream>
#include <limits>
#include <string>
#include <vector>

#include "engine/files.h"
#include "kernels/base/check.h"
#include "kernels/base/random.h"
#include "tests/support/errors.h"
#include "tests/support/temporary_folder.h"

namespace fs = std::filesystem;
using basin::FileDtype;
using basin::SafetensorsReader;
using basin::SafetensorsWriter;
using basin::TensorInfo;

namespace {

struct TensorFile {
  TemporaryFolder folder;
  const fs::path path = folder.path / "a.safetensors";
};

// A file with any header length, header and data, right or wrong.
std::string raw_file(const std::string& header, const std::string& data) {
  const uint64_t length = header.size();
  return std::string(reinterpret_cast<const char*>(&length), 8) + header + data;
}

// Written without fsync, and not over the old file, which ext4 would sync: the tests write
// thousands.
void write_raw(const fs::path& path, const std::string& bytes) {
  fs::remove(path);
  std::ofstream(path, std::ios::binary).write(bytes.data(), static_cast<long>(bytes.size()));
}

std::string opening_error(const fs::path& path) {
  return basin::test::error_of([&] { SafetensorsReader reader(path); });
}

// Everything a reader promises about a file it accepted, and every byte touched.
bool is_consistent(const SafetensorsReader& reader) {
  uint64_t position = 0;
  unsigned sum = 0;
  for (const TensorInfo& info : reader.tensors()) {
    int64_t elements = 1;
    for (const int64_t dimension : info.shape) elements *= dimension;
    if (info.begin != position || elements != info.elements()) return false;
    if (info.end - info.begin != static_cast<uint64_t>(elements) * dtype_size(info.dtype)) {
      return false;
    }
    if (reader.find(info.name) != &info) return false;
    const std::byte* data = reader.data(info);
    for (uint64_t i = 0; i < info.end - info.begin; ++i) sum += std::to_integer<unsigned>(data[i]);
    position = info.end;
  }
  return sum < 256 * position + 1;
}

constexpr std::array kAllDtypes = {
    FileDtype::kF64, FileDtype::kF32, FileDtype::kF16, FileDtype::kBF16, FileDtype::kI64,
    FileDtype::kI32, FileDtype::kI16, FileDtype::kI8,  FileDtype::kU8,   FileDtype::kBool};

const std::string kGood = R"({"w":{"dtype":"F32","shape":[2,1],"data_offsets":[0,8]},)"
                          R"("b":{"dtype":"I16","shape":[1],"data_offsets":[8,10]}})";

}  // namespace

TEST_CASE_FIXTURE(TensorFile, "all types, names and metadata come back as they were added") {
  std::vector<std::string> data;
  for (const FileDtype dtype : kAllDtypes) {
    std::string bytes(6 * dtype_size(dtype), '\0');
    for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<char>(37 * i + data.size());
    data.push_back(bytes);
  }
  SafetensorsWriter writer;
  for (size_t i = 0; i < data.size(); ++i) {
    // Names in falling order: the file keeps the order of add(), not that of the alphabet.
    writer.add(std::string(1, static_cast<char>('z' - i)), kAllDtypes[i], {3, 1, 2},
               data[i].data());
  }
  writer.add("strange \"name\"\n\xc3\xa9", FileDtype::kF32, {0, 5}, nullptr);
  const double scalar = 0.1;
  writer.add("scalar", FileDtype::kF64, {}, &scalar);
  writer.set_metadata("seed", "17");
  writer.set_metadata("config", "{\"text\": \"\\ \xe2\x82\xac\"}");
  writer.write(path);
  writer.write(path);  // a second time, over the first

  const SafetensorsReader reader(path);
  CHECK(is_consistent(reader));
  REQUIRE(reader.tensors().size() == data.size() + 2);
  for (size_t i = 0; i < data.size(); ++i) {
    const TensorInfo& info = reader.tensors()[i];
    CHECK(info.name == std::string(1, static_cast<char>('z' - i)));
    CHECK(info.dtype == kAllDtypes[i]);
    CHECK(info.shape == std::vector<int64_t>{3, 1, 2});
    CHECK(info.elements() == 6);
    CHECK(std::memcmp(reader.data(info), data[i].data(), data[i].size()) == 0);
  }
  const TensorInfo* empty = reader.find("strange \"name\"\n\xc3\xa9");
  REQUIRE(empty != nullptr);
  CHECK(empty->elements() == 0);
  CHECK(empty->shape == std::vector<int64_t>{0, 5});
  const TensorInfo* stored_scalar = reader.find("scalar");
  REQUIRE(stored_scalar != nullptr);
  CHECK(stored_scalar->shape.empty());
  double value = 0;
  reader.read_f64(*stored_scalar, &value);
  CHECK(value == scalar);
  CHECK(reader.find("nothing") == nullptr);
  CHECK(reader.metadata() ==
        std::map<std::string, std::string>{
            {"config", "{\"text\": \"\\ \xe2\x82\xac\"}"}, {"format", "pt"}, {"seed", "17"}});
}

TEST_CASE_FIXTURE(
    TensorFile,
    "the bytes of a written file are those of the format, with data at a multiple of 256") {
  const std::array<float, 2> weights = {1.0f, -2.0f};
  const int16_t bias = 258;
  SafetensorsWriter writer;
  writer.add("w", FileDtype::kF32, {2, 1}, weights.data());
  writer.add("b", FileDtype::kI16, {1}, &bias);
  writer.write(path);
  std::string header = R"({"__metadata__":{"format":"pt"},)" + kGood.substr(1);
  header.resize(256 - 8, ' ');
  CHECK(basin::read_file(path) ==
        raw_file(header, std::string("\x00\x00\x80\x3f\x00\x00\x00\xc0\x02\x01", 10)));
  CHECK(std::distance(fs::directory_iterator(folder.path), fs::directory_iterator()) == 1);
}

TEST_CASE_FIXTURE(TensorFile, "the data begin at a multiple of 256 for every header length") {
  for (size_t length = 1; length <= 300; length += 13) {
    SafetensorsWriter writer;
    const float value = 3;
    writer.add(std::string(length, 'n'), FileDtype::kF32, {1}, &value);
    writer.write(path);
    CHECK(fs::file_size(path) % 256 == 4);
    CHECK(is_consistent(SafetensorsReader(path)));
  }
}

TEST_CASE("a file written by PyTorch opens with equal values") {
  const SafetensorsReader reader(fs::path(BASIN_GOLDEN_FOLDER) / "from_pytorch.safetensors");
  CHECK(is_consistent(reader));
  CHECK(reader.tensors().size() == 7);
  CHECK(reader.metadata().at("note") == "h\xc3\xa9 \"quoted\"");

  const TensorInfo* weight = reader.find("layer1.0.conv1.weight");
  REQUIRE(weight != nullptr);
  CHECK(weight->shape == std::vector<int64_t>{2, 2, 2, 1});
  std::vector<float> floats(8);
  reader.read_f32(*weight, floats.data());
  for (int i = 0; i < 8; ++i) CHECK(floats[i] == 0.25f * static_cast<float>(i) - 1.0f);

  std::vector<double> doubles(4);
  reader.read_f64(*reader.find("double"), doubles.data());
  CHECK(doubles[0] == 0.1);
  CHECK(doubles[1] == -1e300);
  reader.read_f64(*reader.find("half"), doubles.data());
  CHECK(doubles ==
        std::vector<double>{1.5, -65504, 0x1p-24, std::numeric_limits<double>::infinity()});
  reader.read_f32(*reader.find("bfloat"), floats.data());
  CHECK(floats[0] == 1.0f);
  CHECK(floats[1] == -3.140625f);
  CHECK(floats[2] == 0x1p100f);

  const TensorInfo* steps = reader.find("bn1.num_batches_tracked");
  REQUIRE(steps != nullptr);
  CHECK(steps->shape.empty());
  int64_t count = 0;
  std::memcpy(&count, reader.data(*steps), sizeof(count));
  CHECK(count == 12345678901);
  CHECK_THROWS_AS(reader.read_f32(*steps, floats.data()), basin::Error);
  const TensorInfo* flags = reader.find("flags");
  REQUIRE(flags != nullptr);
  CHECK(flags->dtype == FileDtype::kBool);
  CHECK(std::memcmp(reader.data(*flags), "\1\0\1", 3) == 0);
  CHECK(reader.find("empty")->shape == std::vector<int64_t>{0, 3});
}

TEST_CASE_FIXTURE(TensorFile, "every half and bfloat16 converts to its value") {
  std::vector<uint16_t> bits(65536);
  for (size_t i = 0; i < bits.size(); ++i) bits[i] = static_cast<uint16_t>(i);
  SafetensorsWriter writer;
  writer.add("half", FileDtype::kF16, {65536}, bits.data());
  writer.add("bfloat", FileDtype::kBF16, {256, 256}, bits.data());
  writer.write(path);
  const SafetensorsReader reader(path);
  std::vector<float> values(65536);
  std::vector<double> wide(65536);

  // The value from the definition: (-1)^s 2^(e - bias) 1.m, and 2^(1 - bias) 0.m where e = 0.
  const auto wrong = [&](int mantissa_bits, int exponent_bits) {
    const int bias = (1 << (exponent_bits - 1)) - 1;
    int count = 0;
    for (int i = 0; i < 65536; ++i) {
      const int mantissa = i & ((1 << mantissa_bits) - 1);
      const int exponent = (i >> mantissa_bits) & ((1 << exponent_bits) - 1);
      const float sign = i >> 15 ? -1.0f : 1.0f;
      bool right;
      if (exponent == (1 << exponent_bits) - 1) {
        right = mantissa == 0 ? values[i] == sign * std::numeric_limits<float>::infinity()
                              : std::isnan(values[i]);
      } else {
        const int whole = exponent == 0 ? mantissa : mantissa + (1 << mantissa_bits);
        const double expected =
            sign * std::ldexp(whole, std::max(exponent, 1) - bias - mantissa_bits);
        right = values[i] == expected && std::signbit(values[i]) == std::signbit(sign);
      }
      right = right && (std::isnan(wide[i]) ? std::isnan(values[i]) : wide[i] == values[i]);
      count += right ? 0 : 1;
    }
    return count;
  };
  reader.read_f32(*reader.find("half"), values.data());
  reader.read_f64(*reader.find("half"), wide.data());
  CHECK(wrong(10, 5) == 0);
  reader.read_f32(*reader.find("bfloat"), values.data());
  reader.read_f64(*reader.find("bfloat"), wide.data());
  CHECK(wrong(7, 8) == 0);
}

TEST_CASE_FIXTURE(TensorFile, "tensors at odd addresses and from double are read") {
  const uint8_t byte = 7;
  const std::array<double, 3> doubles = {0.1, -1e-3, 1e300};
  const std::array<float, 2> floats = {0.3f, -4.0f};
  SafetensorsWriter writer;
  writer.add("byte", FileDtype::kU8, {1}, &byte);
  writer.add("doubles", FileDtype::kF64, {3}, doubles.data());
  writer.add("floats", FileDtype::kF32, {2}, floats.data());
  writer.write(path);
  const SafetensorsReader reader(path);
  std::array<float, 2> read_floats = {};
  reader.read_f32(*reader.find("floats"), read_floats.data());
  CHECK(read_floats == floats);
  std::array<double, 3> read_doubles = {};
  reader.read_f64(*reader.find("doubles"), read_doubles.data());
  CHECK(read_doubles == doubles);
  std::array<float, 3> rounded = {};
  reader.read_f32(*reader.find("doubles"), rounded.data());
  CHECK(rounded == std::array<float, 3>{0.1f, -1e-3f, std::numeric_limits<float>::infinity()});
}

TEST_CASE_FIXTURE(
    TensorFile,
    "a reader can be moved, outlives the file's replacement and knows its own tensors") {
  const float one = 1, two = 2;
  SafetensorsWriter first, second;
  first.add("x", FileDtype::kF32, {1}, &one);
  first.write(path);
  SafetensorsReader original(path);
  const SafetensorsReader reader = std::move(original);
  second.add("other", FileDtype::kF32, {1}, &two);
  second.write(path);
  float value = 0;
  reader.read_f32(*reader.find("x"), &value);
  CHECK(value == 1);
  const SafetensorsReader replaced(path);
  CHECK_THROWS_AS(reader.data(*replaced.find("other")), basin::Error);
}

TEST_CASE_FIXTURE(TensorFile, "the writer refuses what the format cannot hold") {
  const float value = 1;
  SafetensorsWriter writer;
  writer.add("x", FileDtype::kF32, {1}, &value);
  CHECK_THROWS_AS(writer.add("x", FileDtype::kF32, {1}, &value), basin::Error);
  CHECK_THROWS_AS(writer.add("__metadata__", FileDtype::kF32, {1}, &value), basin::Error);
  CHECK_THROWS_AS(writer.add("y", FileDtype::kF32, {-1}, &value), basin::Error);
  CHECK_THROWS_AS(writer.add("y", FileDtype::kF32, {1l << 40, 1l << 40}, &value), basin::Error);
  CHECK_THROWS_AS(writer.add("y", FileDtype::kF32, {1}, nullptr), basin::Error);
  writer.write(path);
  CHECK(SafetensorsReader(path).tensors().size() == 1);
  writer.set_metadata("bad", "\xff");
  CHECK_THROWS_AS(writer.write(path), basin::Error);
  CHECK(SafetensorsReader(path).metadata().size() == 1);  // the old file is still there
  CHECK_THROWS_AS(SafetensorsWriter().write(folder.path / "no" / "a"), basin::Error);
}

TEST_CASE_FIXTURE(TensorFile, "files that are not in order are refused with what is wrong") {
  const std::string ten(10, '\1');
  write_raw(path, raw_file(kGood, ten));
  REQUIRE(opening_error(path) == "");
  write_raw(path, raw_file("{}", ""));
  REQUIRE(opening_error(path) == "");

  struct Case {
    std::string header, data, message;
  };
  const auto one = [](const std::string& fields) { return R"({"w":{)" + fields + "}}"; };
  const std::string deep(200'000, '[');
  const Case cases[] = {
      {"", "", "not a JSON object"},
      {" {}", "", "not a JSON object"},
      {"[]", "", "not a JSON object"},
      {"null", "", "not a JSON object"},
      {"{", "", "not valid JSON"},
      {"{}x", "", "not valid JSON"},
      {"{\"\xff\":1}", "", "not valid JSON"},
      {std::string("{}\0 ", 4), "", "zero byte"},
      {"{\"a\":" + deep, "", "nested too deeply"},
      {R"({"w":1})", "", "not an object"},
      {R"({"__metadata__":[]})", "", "__metadata__ is not an object"},
      {R"({"__metadata__":{"a":1}})", "", "'a' is not a string"},
      {R"({"__metadata__":{"a":"1","a":"2"}})", "", "'a' appears twice"},
      {R"({"w":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},)"
       R"("w":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}})",
       "ab", "'w' appears twice"},
      {one(R"("shape":[1],"data_offsets":[0,1])"), "a", "'dtype' is missing"},
      {one(R"("dtype":"U8","data_offsets":[0,1])"), "a", "'shape' is missing"},
      {one(R"("dtype":"U8","shape":[1])"), "a", "'data_offsets' is missing"},
      {one(R"("dtype":"U8","shape":[1],"data_offsets":[0,1],"more":0)"), "a", "fields besides"},
      {one(R"("dtype":"U8","dtype":"I8","shape":[1],"data_offsets":[0,1])"), "a",
       "'dtype' appears twice"},
      {one(R"("dtype":8,"shape":[1],"data_offsets":[0,1])"), "a", "dtype is not a string"},
      {one(R"("dtype":"F8_E4M3","shape":[1],"data_offsets":[0,1])"), "a", "unknown dtype"},
      {one(R"("dtype":"u8","shape":[1],"data_offsets":[0,1])"), "a", "unknown dtype"},
      {one(R"("dtype":"U8","shape":1,"data_offsets":[0,1])"), "a", "shape is not an array"},
      {one(R"("dtype":"U8","shape":[-1],"data_offsets":[0,1])"), "a", "dimension -1"},
      {one(R"("dtype":"U8","shape":[1.0],"data_offsets":[0,1])"), "a", "dimension 1.0"},
      {one(R"("dtype":"U8","shape":["1"],"data_offsets":[0,1])"), "a", "dimension \"1\""},
      {one(R"("dtype":"U8","shape":[[1]],"data_offsets":[0,1])"), "a", "nested too deeply"},
      {one(R"("dtype":"U8","shape":[9223372036854775808],"data_offsets":[0,1])"), "a",
       "dimension 9223372036854775808"},
      {one(R"("dtype":"U8","shape":[18446744073709551617],"data_offsets":[0,1])"), "a",
       "dimension 1.8"},
      // 2^32 * 2^32 and 2^61 * 8 are 0 modulo 2^64.
      {one(R"("dtype":"U8","shape":[4294967296,4294967296],"data_offsets":[0,0])"), "",
       "overflows 64 bits"},
      {one(R"("dtype":"F64","shape":[2305843009213693952],"data_offsets":[0,0])"), "",
       "overflows 64 bits"},
      {one(R"("dtype":"U8","shape":[1],"data_offsets":[0])"), "a", "pair of whole numbers"},
      {one(R"("dtype":"U8","shape":[1],"data_offsets":[0,1,2])"), "a", "pair of whole numbers"},
      {one(R"("dtype":"U8","shape":[1],"data_offsets":[-1,0])"), "a", "pair of whole numbers"},
      {one(R"("dtype":"U8","shape":[1],"data_offsets":[0.0,1])"), "a", "pair of whole numbers"},
      {one(R"("dtype":"U8","shape":[1],"data_offsets":"01")"), "a", "pair of whole numbers"},
      {one(R"("dtype":"U8","shape":[1],"data_offsets":[1,0])"), "a", "end before they begin"},
      {one(R"("dtype":"U8","shape":[2],"data_offsets":[0,2])"), "a", "outside the file"},
      {one(R"("dtype":"U8","shape":[1],"data_offsets":[18446744073709551615,0])"), "a",
       "end before they begin"},
      {one(R"("dtype":"F32","shape":[1],"data_offsets":[0,3])"), "abc", "span 3 bytes"},
      {one(R"("dtype":"F32","shape":[2],"data_offsets":[0,4])"), "abcd", "needs 8"},
      {one(R"("dtype":"F32","shape":[],"data_offsets":[0,0])"), "", "needs 4"},
      {one(R"("dtype":"U8","shape":[1],"data_offsets":[1,2])"), "ab", "leaving a hole"},
      {one(R"("dtype":"U8","shape":[1],"data_offsets":[0,1])"), "ab", "1 trailing bytes"},
      {"{}", "a", "1 trailing bytes"},
      {R"({"w":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},)"
       R"("v":{"dtype":"U8","shape":[2],"data_offsets":[1,3]}})",
       "abc", "overlap those of 'w'"},
      {R"({"w":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},)"
       R"("v":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}})",
       "ab", "overlap those of 'v'"},
  };
  for (const Case& wrong : cases) {
    write_raw(path, raw_file(wrong.header, wrong.data));
    const std::string message = opening_error(path);
    CAPTURE(wrong.header.substr(0, 200));
    CAPTURE(message);
    CHECK(message.find(wrong.message) != std::string::npos);
    CHECK(message.find(path.string()) != std::string::npos);
  }
}

TEST_CASE_FIXTURE(
    TensorFile, "wrong header lengths, every truncation and things that are no files are refused") {
  CHECK(opening_error(path).find("No such file") != std::string::npos);
  CHECK(opening_error(folder.path).find("not a regular file") != std::string::npos);
  CHECK(opening_error("/dev/null").find("not a regular file") != std::string::npos);

  const std::string good = raw_file(kGood, std::string(10, '\1'));
  for (size_t length = 0; length < good.size(); ++length) {
    write_raw(path, good.substr(0, length));
    CAPTURE(length);
    CHECK(opening_error(path) != "");
  }
  write_raw(path, good.substr(0, 7));
  CHECK(opening_error(path).find("truncated: 7 bytes") != std::string::npos);
  write_raw(path, good.substr(0, good.size() - 1));
  CHECK(opening_error(path).find("outside the file") != std::string::npos);

  const auto with_length = [&](uint64_t length) {
    std::string bytes = good;
    std::memcpy(bytes.data(), &length, 8);
    write_raw(path, bytes);
    return opening_error(path);
  };
  CHECK(with_length(kGood.size()) == "");
  CHECK(with_length(good.size() - 7).find("more than the file has") != std::string::npos);
  CHECK(with_length(100'000'000).find("more than the file has") != std::string::npos);
  CHECK(with_length(100'000'001).find("over the limit") != std::string::npos);
  CHECK(with_length(0xffffffffffffffff).find("over the limit") != std::string::npos);
  CHECK(with_length(0xfffffffffffffff8).find("over the limit") != std::string::npos);
  CHECK(with_length(0) != "");
}

TEST_CASE_FIXTURE(TensorFile, "mutated files either load consistently or throw Error") {
  const std::string good = raw_file(R"({"__metadata__":{"format":"pt"},)" + kGood.substr(1) + "   ",
                                    std::string(10, 'd'));
  const std::vector<std::string> tokens = {"0",
                                           "1",
                                           "8",
                                           "10",
                                           "-1",
                                           "18446744073709551615",
                                           "9223372036854775807",
                                           "1e3",
                                           "null",
                                           "[",
                                           "]",
                                           "{",
                                           "}",
                                           ",",
                                           ":",
                                           "\"",
                                           "\\u",
                                           "[]",
                                           "\"F64\"",
                                           "\"U8\"",
                                           "\"shape\"",
                                           "\"w\"",
                                           "\"b\"",
                                           "\xff",
                                           " ",
                                           "[0,8]",
                                           "[8,10]",
                                           "[2,1]"};
  basin::RandomStream random(2020, basin::RandomPurpose::kNoise);
  const auto below = [&](size_t bound) { return static_cast<size_t>(random.bits() % bound); };
  int loaded = 0, refused = 0;
  for (int round = 0; round < 4000; ++round) {
    std::string bytes = good;
    const size_t changes = 1 + below(4) / 3;  // one, sometimes two
    for (size_t change = 0; change < changes && bytes.size() > 1; ++change) {
      const size_t at = below(bytes.size());
      const size_t count = std::min(1 + below(6), bytes.size() - at);
      switch (below(7)) {
        case 0:
          bytes[at] = static_cast<char>(bytes[at] ^ (1 << below(8)));
          break;
        case 1:
          bytes[at] = static_cast<char>('0' + below(10));
          break;
        case 2:
          bytes.replace(at, count, tokens[below(tokens.size())]);
          break;
        case 3:
          bytes.insert(at, tokens[below(tokens.size())]);
          break;
        case 4:
          bytes.erase(at, count);
          break;
        case 5:
          bytes.insert(below(bytes.size()), bytes.substr(at, 10 * count));
          break;
        default:
          bytes.resize(at);
      }
    }
    // Mostly with a true header length, else nearly every mutation would stop at the first check.
    if (bytes.size() >= 18 && below(4) != 0) {
      const uint64_t length = bytes.size() - 18;
      std::memcpy(bytes.data(), &length, 8);
    }
    write_raw(path, bytes);
    try {
      const SafetensorsReader reader(path);
      REQUIRE(is_consistent(reader));
      ++loaded;
    } catch (const basin::Error&) {
      ++refused;
    }
  }
  // Both outcomes must be common, or the mutations test nothing.
  CHECK(loaded > 200);
  CHECK(refused > 2000);
}
