// A small table of text cells, read from and written to CSV (RFC 4180: commas, double quotes).
// Every error names the file and the line.
#pragma once

#include <cstddef>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace basin {

class CsvTable {
 public:
  // An empty table; `columns` are its column names, in file order.
  explicit CsvTable(std::vector<std::string> columns);

  // Reads a file whose first line holds the column names. Blank lines are skipped, CRLF is
  // accepted. Throws basin::Error for a file that cannot be read, a missing header, a column named
  // twice, a line with too few or too many cells, or a quote that is misplaced or never closed.
  static CsvTable read(const std::filesystem::path& path);

  const std::vector<std::string>& columns() const { return columns_; }
  std::size_t row_count() const { return rows_.size(); }
  bool has_column(std::string_view column) const;

  // The cell of row `row` (counted from 0, header excluded); throws for an unknown column.
  const std::string& text(std::size_t row, std::string_view column) const;
  // The cell as a number, nothing for an empty cell. "nan" and "inf" are numbers: a diverged loss
  // is a result. Throws for anything else that is not a number as a whole.
  std::optional<double> number(std::size_t row, std::string_view column) const;

  // Appends a row; it must have one cell per column.
  void add_row(std::vector<std::string> cells);
  // As write_file_atomically(): a reader never sees half a table, nor does one after a crash.
  void write(const std::filesystem::path& path) const;

 private:
  struct Row {
    std::vector<std::string> cells;
    std::size_t line;  // in the file it was read from, counted from 1
  };

  std::size_t column_index(std::string_view column) const;

  std::string source_;  // what error messages call the table: the file it was read from
  std::vector<std::string> columns_;
  std::vector<Row> rows_;
};

// The shortest text that reads back as the same number.
std::string csv_number(double value);

}  // namespace basin
