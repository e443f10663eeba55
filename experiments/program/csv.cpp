// Reading and writing of CSV tables.
#include "experiments/program/csv.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <fstream>
#include <iterator>
#include <set>
#include <utility>

#include "engine/files.h"
#include "kernels/base/check.h"

namespace basin {
namespace {

// One line of the file split into cells; a quoted cell may run over several lines of text.
class Parser {
 public:
  Parser(const std::string& text, const std::string& source) : text_(text), source_(source) {}

  std::size_t line() const { return line_; }  // on which the next record starts

  // Reads the next record that is not blank; false at the end of the file.
  bool next(std::vector<std::string>& cells) {
    while (at_line_end() && position_ < text_.size()) skip_line_end();
    if (position_ >= text_.size()) return false;
    cells.clear();
    record_line_ = line_;
    while (true) {
      cells.push_back(text_[position_] == '"' ? quoted_cell() : plain_cell());
      if (position_ < text_.size() && text_[position_] == ',') {
        ++position_;
        if (position_ >= text_.size()) {
          cells.emplace_back();
          return true;
        }
        continue;
      }
      if (position_ < text_.size()) skip_line_end();
      return true;
    }
  }

  std::size_t record_line() const { return record_line_; }

 private:
  bool at_line_end() const {
    if (position_ >= text_.size() || text_[position_] == '\n') return true;
    return text_[position_] == '\r' && position_ + 1 < text_.size() && text_[position_ + 1] == '\n';
  }

  void skip_line_end() {
    if (text_[position_] == '\r') ++position_;
    ++position_;
    ++line_;
  }

  std::string plain_cell() {
    const std::size_t start = position_;
    while (!at_line_end() && text_[position_] != ',') {
      BASIN_CHECK(text_[position_] != '"', source_, ":", line_,
                  ": a double quote inside a cell that does not begin with one; quote the whole "
                  "cell and double the quotes inside it");
      ++position_;
    }
    return text_.substr(start, position_ - start);
  }

  std::string quoted_cell() {
    const std::size_t opened_on = line_;
    std::string cell;
    ++position_;
    while (true) {
      BASIN_CHECK(position_ < text_.size(), source_, ":", opened_on,
                  ": the double quote opened on this line is never closed");
      const char c = text_[position_++];
      if (c == '"') {
        if (position_ < text_.size() && text_[position_] == '"') {
          cell += '"';
          ++position_;
          continue;
        }
        BASIN_CHECK(at_line_end() || text_[position_] == ',', source_, ":", line_,
                    ": text after the closing quote of a cell; a comma or the end of the line "
                    "must follow it");
        return cell;
      }
      if (c == '\n') ++line_;
      cell += c;
    }
  }

  const std::string& text_;
  const std::string& source_;
  std::size_t position_ = 0;
  std::size_t line_ = 1;
  std::size_t record_line_ = 1;
};

// A cell as it stands in a file: quoted where it must be.
std::string encode(const std::string& cell) {
  if (cell.find_first_of(",\"\r\n") == std::string::npos) return cell;
  std::string quoted = "\"";
  for (const char c : cell) {
    if (c == '"') quoted += '"';
    quoted += c;
  }
  return quoted + '"';
}

std::string encode_row(const std::vector<std::string>& cells) {
  // A row of one empty cell would read back as a blank line.
  if (cells.size() == 1 && cells[0].empty()) return "\"\"\n";
  std::string line;
  for (std::size_t i = 0; i < cells.size(); ++i) {
    if (i > 0) line += ',';
    line += encode(cells[i]);
  }
  return line + '\n';
}

void check_columns(const std::vector<std::string>& columns, const std::string& source) {
  BASIN_CHECK(!columns.empty(), source, ": a table needs at least one column");
  std::set<std::string> seen;
  for (const std::string& column : columns) {
    BASIN_CHECK(seen.insert(column).second, source, ": column '", column, "' is named twice");
  }
}

}  // namespace

CsvTable::CsvTable(std::vector<std::string> columns)
    : source_("table in memory"), columns_(std::move(columns)) {
  check_columns(columns_, source_);
}

CsvTable CsvTable::read(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  const std::string source = path.string();
  BASIN_CHECK(file, source, ": cannot be opened for reading");
  const std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  BASIN_CHECK(!file.bad(), source, ": reading failed");

  Parser parser(text, source);
  std::vector<std::string> cells;
  BASIN_CHECK(parser.next(cells), source, ":1: no header; the first line must name the columns");
  check_columns(cells, concat(source, ":", parser.record_line()));
  CsvTable table(cells);
  table.source_ = source;
  while (parser.next(cells)) {
    BASIN_CHECK(cells.size() == table.columns_.size(), source, ":", parser.record_line(), ": ",
                cells.size(), " cells where the header names ", table.columns_.size(), " columns");
    table.rows_.push_back({cells, parser.record_line()});
  }
  return table;
}

bool CsvTable::has_column(std::string_view column) const {
  return std::find(columns_.begin(), columns_.end(), column) != columns_.end();
}

std::size_t CsvTable::column_index(std::string_view column) const {
  const auto found = std::find(columns_.begin(), columns_.end(), column);
  if (found == columns_.end()) {
    throw Error(fmt::format("{}:1: no column '{}'; the columns are: {}", source_, column,
                            fmt::join(columns_, ", ")));
  }
  return static_cast<std::size_t>(found - columns_.begin());
}

const std::string& CsvTable::text(std::size_t row, std::string_view column) const {
  BASIN_CHECK(row < rows_.size(), source_, ": row ", row, " of ", rows_.size(), " does not exist");
  return rows_[row].cells[column_index(column)];
}

std::optional<double> CsvTable::number(std::size_t row, std::string_view column) const {
  const std::string& cell = text(row, column);
  if (cell.empty()) return std::nullopt;
  double value = 0;
  const auto [end, error] = std::from_chars(cell.data(), cell.data() + cell.size(), value);
  BASIN_CHECK(error == std::errc() && end == cell.data() + cell.size(), source_, ":",
              rows_[row].line, ": '", cell, "' in column '", column, "' is not a number");
  return value;
}

void CsvTable::add_row(std::vector<std::string> cells) {
  BASIN_CHECK(cells.size() == columns_.size(), source_, ": a row of ", cells.size(), " cells for ",
              columns_.size(), " columns");
  rows_.push_back({std::move(cells), rows_.size() + 2});
}

void CsvTable::write(const std::filesystem::path& path) const {
  std::string text = encode_row(columns_);
  for (const Row& row : rows_) text += encode_row(row.cells);
  write_file_atomically(path, text);
}

std::string csv_number(double value) {
  return fmt::format("{}", value);
}

}  // namespace basin
