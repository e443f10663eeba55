// Builds one self-contained HTML page: no script, no network, styles inline, images embedded.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "experiments/claims.h"

namespace basin {

struct Link {
  std::string text;
  std::string target;  // path relative to the page
};

struct Figure {
  std::string content;  // an <svg> or <img> element, taken as it is
  std::string caption;
  std::vector<Link> data;  // where the numbers of the figure lie
};

struct TableCell {
  std::string text;
  std::string note;  // a second, smaller line
};

struct Table {
  std::string caption;
  std::vector<std::string> header;
  std::vector<std::vector<TableCell>> rows;  // the first cell of a row names it
  std::vector<Link> data;
};

// All texts are plain text; the page escapes them.
class ReportPage {
 public:
  ReportPage(std::string title, std::string subtitle);

  // Begins a section; `id` is its anchor and must be unique in the page.
  void section(const std::string& id, const std::string& heading);
  void subheading(const std::string& text);
  void paragraph(const std::string& text);
  // A remark set apart; `warning` for what the reader must not miss.
  void note(const std::string& text, bool warning = false);
  void list(const std::vector<std::string>& items, bool warning = false);
  // What was left out, with the remark "not run".
  void not_run(const std::string& what);
  // Figures side by side where the screen is wide enough; they are numbered through the page.
  void figures(const std::vector<Figure>& figures);
  // Tables are numbered through the page. Every row must have as many cells as the header.
  void table(const Table& table);
  // The verdicts of all claims at a glance, a row per claim, each leading to its box, which must
  // follow. The claims must have the same targets in the same order.
  void verdicts(const std::vector<Claim>& claims);
  // A box with the claim's rule, figures and verdicts.
  void claim(const Claim& claim);

  std::string html() const;

 private:
  std::string title_, subtitle_;
  std::string contents_;
  std::string body_;
  int figure_count_ = 0;
  int table_count_ = 0;
  int claim_count_ = 0;
};

// `path` as the value of a link: bytes outside the unreserved characters and '/' percent-encoded.
std::string encode_url(std::string_view path);

// The standard encoding of RFC 4648 with padding.
std::string base64(std::string_view bytes);

// An <img> with the PNG file embedded. Throws basin::Error for a file that cannot be read or does
// not begin with the PNG signature.
std::string embedded_png(const std::filesystem::path& path, const std::string& description);

}  // namespace basin
