// Whole files, plain and gzip. tests/data/sources/idx.cpp has the damaged ones.
#include "data/file.h"

#include "tests/data/fixtures.h"

using namespace basin;
using namespace basin::data;

TEST_CASE("gzip files of every length around zlib's and our chunk sizes come back whole") {
  RandomStream random(3, RandomPurpose::kNoise);
  const DataFolder folder;
  for (const size_t size : {size_t{0}, size_t{1}, size_t{1000}, (size_t{1} << 24) + 5}) {
    Bytes bytes(size);
    for (size_t i = 0; i < size; i += 97) bytes[i] = static_cast<uint8_t>(random.bits());
    write_file(folder.path("x.gz"), gzip(bytes));
    CHECK(read_file(folder.path("x.gz"), "no remedy") == bytes);
  }
}

TEST_CASE("text files give their lines, whatever ends them") {
  const DataFolder folder;
  const auto lines = [&](const std::string& text) {
    write_text(folder.path("x.txt"), text);
    return read_lines(folder.path("x.txt"), "no remedy");
  };
  using Lines = std::vector<std::string>;
  CHECK(lines("a\nbc\n") == Lines{"a", "bc"});
  CHECK(lines("a\r\nbc\r\n") == Lines{"a", "bc"});
  CHECK(lines("a\nbc") == Lines{"a", "bc"});
  CHECK(lines("a\n\nbc\n\n") == Lines{"a", "", "bc", ""});
  CHECK(lines("\n") == Lines{""});
  CHECK(contains(error_of([&] { lines(""); }), "the file is empty"));
}
