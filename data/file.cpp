// Whole files, inflated by zlib where they are gzip.
#include "data/file.h"

#include <zlib.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "kernels/base/check.h"

namespace basin::data {

namespace {

// The contents of a gzip file, inflated. `path` and `remedy` are for the message.
std::vector<uint8_t> inflate_gzip(const std::vector<uint8_t>& bytes, const std::string& path,
                                  const std::string& remedy) {
  // A small file can claim to hold any amount; no data set read here comes near this.
  constexpr size_t kMaxInflated = size_t{8} << 30;
  constexpr size_t kChunk = size_t{1} << 24;

  z_stream stream{};
  constexpr int kGzip = 16 + MAX_WBITS;  // gzip wrapper only, so that the checksum is verified
  BASIN_CHECK(inflateInit2(&stream, kGzip) == Z_OK, path, ": zlib does not start");
  struct End {
    z_stream* stream;
    ~End() { inflateEnd(stream); }
  } end{&stream};

  std::vector<uint8_t> out;
  size_t read = 0, written = 0;
  int result = Z_OK;
  while (result != Z_STREAM_END) {
    if (stream.avail_in == 0 && read < bytes.size()) {
      const size_t part = std::min(kChunk, bytes.size() - read);
      stream.next_in = const_cast<Bytef*>(bytes.data() + read);  // zlib's pointer lacks const
      stream.avail_in = static_cast<uInt>(part);
      read += part;
    }
    if (written == out.size()) {
      BASIN_CHECK(out.size() < kMaxInflated, path, ": gzip data of more than ", kMaxInflated,
                  " bytes; ", remedy);
      out.resize(std::min(kMaxInflated, std::max(2 * out.size(), 4 * bytes.size() + 64)));
    }
    const size_t space = std::min(kChunk, out.size() - written);
    stream.next_out = out.data() + written;
    stream.avail_out = static_cast<uInt>(space);
    result = inflate(&stream, Z_NO_FLUSH);
    written += space - stream.avail_out;
    BASIN_CHECK(result != Z_BUF_ERROR || read < bytes.size() || stream.avail_in > 0, path,
                ": truncated gzip file: it ends after ", bytes.size(), " bytes (", written,
                " inflated) without its end mark; ", remedy);
    BASIN_CHECK(result == Z_OK || result == Z_STREAM_END || result == Z_BUF_ERROR, path,
                ": corrupted gzip file (", stream.msg ? stream.msg : "unknown defect", " after ",
                written, " inflated bytes); ", remedy);
  }
  const size_t rest = bytes.size() - read + stream.avail_in;
  BASIN_CHECK(rest == 0, path, ": ", rest, " bytes follow the end of the gzip data; ", remedy);
  out.resize(written);
  return out;
}

}  // namespace

std::vector<uint8_t> read_file(const std::string& path, const std::string& remedy) {
  std::error_code code;
  const auto status = std::filesystem::status(path, code);
  BASIN_CHECK(std::filesystem::exists(status), path, ": no such file; ", remedy);
  BASIN_CHECK(std::filesystem::is_regular_file(status), path, ": not a regular file; ", remedy);
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  BASIN_CHECK(file, path, ": cannot be opened: ", std::strerror(errno), "; ", remedy);
  const auto size = static_cast<std::streamoff>(file.tellg());
  BASIN_CHECK(size > 0, path, ": the file is empty; ", remedy);
  std::vector<uint8_t> bytes(static_cast<size_t>(size));
  file.seekg(0);
  file.read(reinterpret_cast<char*>(bytes.data()), size);
  BASIN_CHECK(file.gcount() == size, path, ": read ", file.gcount(), " of ", size, " bytes; ",
              remedy);
  const bool gzip = bytes.size() >= 2 && bytes[0] == 0x1f && bytes[1] == 0x8b;
  return gzip ? inflate_gzip(bytes, path, remedy) : bytes;
}

std::vector<std::string> read_lines(const std::string& path, const std::string& remedy) {
  const auto bytes = read_file(path, remedy);
  std::vector<std::string> lines;
  for (auto begin = bytes.begin(); begin != bytes.end();) {
    const auto end = std::find(begin, bytes.end(), '\n');
    lines.emplace_back(begin, end);
    if (!lines.back().empty() && lines.back().back() == '\r') lines.back().pop_back();
    begin = end == bytes.end() ? end : end + 1;
  }
  return lines;
}

}  // namespace basin::data
