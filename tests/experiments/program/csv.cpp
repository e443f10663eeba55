// CSV tables: what is written reads back, and every damage is reported with file and line.
#include "experiments/program/csv.h"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <string>

#include "kernels/base/check.h"
#include "tests/experiments/report/synthetic_results.h"
#include "tests/support/errors.h"
#include "tests/support/temporary_folder.h"

using namespace basin;
using basin::test::contains;
using basin::test::error_of;

TEST_CASE("a table reads back as it was written") {
  const TemporaryFolder folder;
  const auto path = folder.path / "table.csv";
  CsvTable table({"name", "value", "note, with comma"});
  table.add_row({"plain", csv_number(0.1), ""});
  table.add_row({"comma, quote \" and\nline", csv_number(-1e-300), "\"\""});
  table.add_row({"", csv_number(std::numeric_limits<double>::infinity()), " spaces "});
  table.write(path);
  const CsvTable back = CsvTable::read(path);
  REQUIRE(back.columns() == table.columns());
  REQUIRE(back.row_count() == 3);
  for (std::size_t row = 0; row < 3; ++row) {
    for (const std::string& column : table.columns()) {
      CHECK(back.text(row, column) == table.text(row, column));
    }
  }
  CHECK(back.number(0, "value") == 0.1);
  CHECK(back.number(1, "value") == -1e-300);
  CHECK(std::isinf(*back.number(2, "value")));
  CHECK(!back.number(2, "name"));
  CHECK(!std::filesystem::exists(folder.path / "table.csv.partial"));
}

TEST_CASE("a table of one column keeps its empty cells") {
  const TemporaryFolder folder;
  CsvTable table({"only"});
  table.add_row({""});
  table.add_row({"x"});
  table.write(folder.path / "t.csv");
  CHECK(CsvTable::read(folder.path / "t.csv").row_count() == 2);
}

TEST_CASE("line ends of both kinds, blank lines and a missing last line end are accepted") {
  const TemporaryFolder folder;
  write_text(folder.path / "t.csv", "a,b\r\n1,\r\n\r\n\"x\",nan");
  const CsvTable table = CsvTable::read(folder.path / "t.csv");
  REQUIRE(table.row_count() == 2);
  CHECK(table.text(0, "b").empty());
  CHECK(table.text(1, "a") == "x");
  CHECK(std::isnan(*table.number(1, "b")));
  write_text(folder.path / "end.csv", "a,b\n1,");
  CHECK(CsvTable::read(folder.path / "end.csv").text(0, "b").empty());
}

TEST_CASE("errors name the file and the line") {
  const TemporaryFolder folder;
  const auto path = folder.path / "bad.csv";
  const auto read_error = [&](const std::string& text) {
    write_text(path, text);
    return error_of([&] { CsvTable::read(path); });
  };
  CHECK(contains(error_of([&] { CsvTable::read(folder.path / "absent.csv"); }), "absent.csv"));
  CHECK(contains(read_error(""), "bad.csv:1: no header"));
  CHECK(contains(read_error("a,b,a\n"), "bad.csv:1: column 'a' is named twice"));
  CHECK(contains(read_error("a,b\n1,2\n1\n"), "bad.csv:3: 1 cells"));
  CHECK(contains(read_error("a,b\n1,2,3\n"), "bad.csv:2: 3 cells"));
  CHECK(contains(read_error("a,b\n1,x\"y\n"), "bad.csv:2: a double quote inside"));
  CHECK(contains(read_error("a,b\n1,2\n1,\"y\n\n"), "bad.csv:3: the double quote opened"));
  CHECK(contains(read_error("a,b\n\"x\"y,2\n"), "bad.csv:2: text after the closing quote"));

  // A quoted cell over two lines moves the lines after it.
  write_text(path, "a,b\n\"1\n2\",3\n4,five\n");
  const CsvTable table = CsvTable::read(path);
  const std::string number = error_of([&] { table.number(1, "b"); });
  CHECK(contains(number, "bad.csv:4: 'five' in column 'b' is not a number"));
  CHECK(contains(error_of([&] { table.number(0, "c"); }), "no column 'c'; the columns are: a, b"));
  for (const char* text : {"1x", " 1", "0x10", "1,5", "-", "+1"}) {
    CAPTURE(text);
    CsvTable one({"v"});
    one.add_row({text});
    CHECK_THROWS_AS(one.number(0, "v"), Error);
  }
  CHECK_THROWS_AS(CsvTable({"a", "b"}).add_row({"1"}), Error);
}
