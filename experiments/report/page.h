// Builds one self-contained HTML page: no script, no network, styles inline, images embedded. A
// page is a head, an overview of the verdicts, and numbered sections.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "experiments/report/claims.h"

namespace basin::report {

struct Link {
  std::string text;
  std::string target;  // path relative to the page
};

struct Figure {
  std::string content;  // an <svg> or <img> element, taken as it is
  std::string caption;
  std::vector<Link> data = {};  // where the numbers of the figure lie
};

struct TableCell {
  TableCell(std::string text, std::string note = "")
      : text(std::move(text)), note(std::move(note)) {}
  TableCell(const char* text) : text(text) {}

  std::string text;
  std::string note;  // a second, smaller line
};
using TableRow = std::vector<TableCell>;

struct Table {
  std::string caption;
  std::vector<std::string> header;
  std::vector<TableRow> rows = {};  // the first cell of a row names it
  std::vector<Link> data = {};
};

// One section of the page. All texts are plain text; the section escapes them.
class Section {
 public:
  // `label` numbers the section and its figures ("3": Figure 3.1); `id` is its anchor. Both must be
  // unique in the page.
  Section(std::string label, std::string id, std::string heading);

  // A paragraph that opens with a word set in bold, such as "Paper".
  void lead(const std::string& word, const std::string& text);
  void paragraph(const std::string& text);
  // A remark set apart; `warning` for what the reader must not miss.
  void note(const std::string& text, bool warning = false);
  // What was left out, with the remark "not run".
  void not_run(const std::string& what);
  // Figures side by side where the screen is wide enough.
  void figures(const std::vector<Figure>& figures);
  // Every row must have as many cells as the header. A table without rows is left out.
  void table(const Table& table);
  // A box with the claim's rule, figures and verdicts.
  void claim(const Claim& claim);

  const std::string& label() const { return label_; }
  const std::string& id() const { return id_; }
  const std::string& heading() const { return heading_; }
  const std::vector<Claim>& claims() const { return claims_; }
  std::string html() const;

 private:
  std::string label_, id_, heading_;
  std::string body_;
  int figure_count_ = 0;
  int table_count_ = 0;
  std::vector<Claim> claims_;
};

struct PageHead {
  std::string title, subtitle;
  std::vector<std::string> remarks;   // what the reader must know first
  std::vector<std::string> problems;  // files that could not be used
  std::vector<std::string> columns;   // what findings are about, in the order of the overview
};

// The whole page: the head, the overview of all claims and verdicts, and the sections. Findings
// about anything but `head.columns` stand in a last column, with their names.
std::string page_html(const PageHead& head, const std::vector<Section>& sections);

// `path` as the value of a link: bytes outside the unreserved characters and '/' percent-encoded.
std::string encode_url(std::string_view path);

// The standard encoding of RFC 4648 with padding.
std::string base64(std::string_view bytes);

// An <img> with the PNG file embedded. Throws basin::Error for a file that cannot be read or does
// not begin with the PNG signature.
std::string embedded_png(const std::filesystem::path& path, const std::string& description);

}  // namespace basin::report
