// The page's markup and its style sheet.
#include "experiments/report/page.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <fstream>
#include <iterator>
#include <map>
#include <utility>

#include "experiments/report/svg.h"
#include "kernels/base/check.h"

namespace basin::report {
namespace {

constexpr const char* kStyleSheet = R"css(
:root { color-scheme: light; --ink: #1c2330; --soft: #4a5362; --line: #d9dee6; --panel: #f6f8fa; }
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; scroll-behavior: smooth; }
body { margin: 0; color: var(--ink); background: #fff; line-height: 1.55; font-size: 16px;
  font-family: system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif; }
main { max-width: 1060px; margin: 0 auto; padding: 28px 20px 64px; }
h1 { font-size: 1.9rem; line-height: 1.2; margin: 0 0 6px; letter-spacing: -0.01em; text-wrap: balance; }
h2 { font-size: 1.35rem; line-height: 1.3; margin: 52px 0 10px; padding-top: 14px; border-top: 2px solid var(--ink); }
h3 { font-size: 1.05rem; margin: 30px 0 8px; }
p, ul { max-width: 72ch; margin: 0 0 12px; }
ul { padding-left: 1.3em; }
a { color: #00558a; text-underline-offset: 2px; }
.subtitle { color: var(--soft); margin-bottom: 18px; }
nav { font-size: 0.92rem; display: flex; flex-wrap: wrap; gap: 4px 18px; padding: 10px 0;
  border-top: 1px solid var(--line); border-bottom: 1px solid var(--line); }
.note { border-left: 4px solid #0072B2; background: var(--panel); padding: 10px 14px; margin: 14px 0; max-width: 76ch; }
.note.warning { border-left-color: #D55E00; background: #fdf4ee; }
.note > :last-child { margin-bottom: 0; }
.missing { color: var(--soft); }
.figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 400px), 1fr)); gap: 26px 32px; margin: 18px 0 26px; }
figure { margin: 0; min-width: 0; break-inside: avoid; max-width: 620px; }
figure svg { display: block; width: 100%; height: auto; }
figure img { display: block; width: 100%; height: auto; image-rendering: pixelated; border: 1px solid var(--line); }
figcaption { font-size: 0.88rem; line-height: 1.45; color: var(--soft); text-align: left; }
figcaption { margin-top: 8px; }
figure.table { max-width: none; margin: 18px 0 26px; break-inside: auto; }
figure.table figcaption { max-width: 90ch; margin: 0 0 8px; }
figcaption b { color: var(--ink); }
.scroll { overflow-x: auto; }
.verdicts { margin: 18px 0 26px; }
.verdicts tbody th { white-space: normal; font-weight: 400; min-width: 13em; }
table { border-collapse: collapse; font-size: 0.92rem; font-variant-numeric: tabular-nums; min-width: 60%; }
th, td { padding: 7px 14px 7px 0; text-align: left; vertical-align: top; border-bottom: 1px solid var(--line); }
th:last-child, td:last-child { padding-right: 0; }
thead th { border-bottom: 1.5px solid var(--ink); font-weight: 600; vertical-align: bottom; }
tbody th { font-weight: 600; white-space: nowrap; }
.experiments tbody th { white-space: normal; font-weight: 400; }
.experiments .badge { margin: 1px 0; }
.small { display: block; font-weight: 400; font-size: 0.84rem; color: var(--soft); }
.claim { border: 1px solid var(--line); border-radius: 6px; padding: 14px 18px; margin: 14px 0; break-inside: avoid; }
.claim h3 { margin: 0 0 4px; }
.claim .rule { font-size: 0.9rem; color: var(--soft); margin-bottom: 8px; max-width: 90ch; }
.finding { display: grid; grid-template-columns: 130px 9.8em minmax(0, 1.25fr) minmax(0, 1fr); gap: 2px 18px; padding: 8px 0;
  border-top: 1px solid var(--line); font-size: 0.92rem; align-items: baseline; font-variant-numeric: tabular-nums; }
.finding .target { font-weight: 600; }
.finding .paper { color: var(--soft); }
.badge { display: inline-block; font-size: 0.8rem; font-weight: 600; line-height: 1.3; padding: 2px 9px; border-radius: 10px;
  border: 1px solid; white-space: nowrap; justify-self: start; }
.badge.yes { color: #00573f; background: #e3f4ee; border-color: #009E73; }
.badge.no { color: #8a3a00; background: #fdeee3; border-color: #D55E00; }
.badge.open { color: #4a5362; background: #f1f3f6; border-color: #b4bcc8; }
footer { margin-top: 56px; padding-top: 12px; border-top: 1px solid var(--line); font-size: 0.86rem; color: var(--soft); }
@media (max-width: 640px) {
  main { padding: 18px 14px 48px; }
  h1 { font-size: 1.5rem; }
  .claim { padding: 12px; }
  .finding { grid-template-columns: minmax(0, 1fr) auto; }
  .finding .measured, .finding .paper { grid-column: 1 / -1; }
  table { min-width: 100%; font-size: 0.86rem; }
  td { min-width: 8.5em; }
  .table td:last-child { min-width: 13em; }
}
@media print {
  @page { margin: 16mm 14mm; }
  body { font-size: 10pt; }
  main { max-width: none; padding: 0; }
  nav { display: none; }
  h2 { margin-top: 24pt; break-after: avoid; }
  h3 { break-after: avoid; }
  .figures { grid-template-columns: 1fr 1fr; gap: 16px 20px; }
  table, .finding, .rule { font-size: 8.5pt; }
  th, td { padding: 3px 8px 3px 0; }
  .claim { padding: 8px 12px; margin: 8px 0; }
  .finding { grid-template-columns: 6.5em 8em minmax(0, 1.25fr) minmax(0, 1fr); gap: 1px 10px; padding: 4px 0; }
  .badge { font-size: 7pt; padding: 1px 6px; }
  .verdicts tbody th { min-width: 24em; }
  .scroll { overflow: visible; }
  tr { break-inside: avoid; }
  .badge, .note { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
}
)css";

const char* badge_class(Verdict verdict) {
  switch (verdict) {
    case Verdict::kReproduced:
      return "yes";
    case Verdict::kNotReproduced:
      return "no";
    default:
      return "open";
  }
}

// Escaped text that keeps on one line a number and its per-cent sign, "n = 3", and an abbreviation
// with a hyphen such as RI-T.
std::string prose(std::string_view text) {
  const auto is_capital = [&](std::size_t i) {
    return i < text.size() && text[i] >= 'A' && text[i] <= 'Z';
  };
  std::string bound;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool in_equation =
        text[i] == ' ' && ((i > 0 && text[i - 1] == '=') || text.substr(i).starts_with(" ="));
    if (in_equation || text.substr(i).starts_with(" %")) {
      bound += "\u00a0";
    } else if (text[i] == '-' && i > 0 && is_capital(i - 1) && is_capital(i + 1)) {
      bound += "\u2011";
    } else {
      bound += text[i];
    }
  }
  return escape_markup(bound);
}

std::string links(const std::vector<Link>& all) {
  if (all.empty()) return "";
  std::string html = " <span class=\"data\">Data: ";
  for (std::size_t i = 0; i < all.size(); ++i) {
    if (i > 0) html += ", ";
    html += fmt::format(R"(<a href="{}">{}</a>)", encode_url(all[i].target), prose(all[i].text));
  }
  return html + ".</span>";
}

std::string badge(Verdict verdict) {
  return fmt::format("<span class=\"badge {}\">{}</span>", badge_class(verdict),
                     verdict_text(verdict));
}

// The experiments are numbered, what is around them has letters.
bool is_experiment(const Section& section) {
  return std::isdigit(static_cast<unsigned char>(section.label().front())) != 0;
}

// The places of a claim's box: "claim-3-2" is the second claim of section 3.
std::string claim_id(const Section& section, std::size_t index) {
  return fmt::format("claim-{}-{}", section.label(), index + 1);
}

std::string counts_of(const std::vector<Claim>& claims) {
  std::map<Verdict, int> counts;
  for (const Claim& claim : claims) {
    for (const Finding& finding : claim.findings) ++counts[finding.judgement.verdict];
  }
  std::string html;
  for (const auto& [verdict, count] : counts) {
    html += fmt::format("<span class=\"badge {}\">{} {}</span> ", badge_class(verdict), count,
                        verdict_text(verdict));
  }
  return counts.empty() ? "<span class=\"missing\">no verdict: shown only</span>" : html;
}

// A row per experiment with the number of its verdicts.
std::string experiments_table(const std::vector<Section>& sections) {
  std::string html =
      "<div class=\"scroll\"><table class=\"experiments\">\n<thead><tr><th scope=\"col\">Experiment"
      "</th><th scope=\"col\">Verdicts</th></tr></thead>\n<tbody>\n";
  for (const Section& section : sections) {
    if (!is_experiment(section)) continue;
    html += fmt::format("<tr><th scope=\"row\"><a href=\"#{}\">{} {}</a></th><td>{}</td></tr>\n",
                        escape_markup(section.id()), section.label(), prose(section.heading()),
                        counts_of(section.claims()));
  }
  return html + "</tbody></table></div>\n";
}

// A row per claim, leading to its box, and a column per target.
std::string verdicts_table(const std::vector<Section>& sections,
                           const std::vector<std::string>& columns) {
  std::string html =
      "<div class=\"scroll\"><table class=\"verdicts\">\n<thead><tr><th scope=\"col\">Claim</th>";
  for (const std::string& column : columns) html += "<th scope=\"col\">" + prose(column) + "</th>";
  html += "<th scope=\"col\">Between targets</th></tr></thead>\n<tbody>\n";
  for (const Section& section : sections) {
    for (std::size_t i = 0; i < section.claims().size(); ++i) {
      const Claim& claim = section.claims()[i];
      html += fmt::format("<tr><th scope=\"row\"><a href=\"#{}\">{}</a></th>", claim_id(section, i),
                          prose(claim.statement));
      std::string others;
      std::map<std::string, std::string> cells;
      for (const Finding& finding : claim.findings) {
        if (std::find(columns.begin(), columns.end(), finding.target) != columns.end()) {
          cells[finding.target] += badge(finding.judgement.verdict);
        } else {
          others += "<span class=\"small\">" + prose(finding.target) + "</span>" +
                    badge(finding.judgement.verdict);
        }
      }
      for (const std::string& column : columns) html += "<td>" + cells[column] + "</td>";
      html += "<td>" + others + "</td></tr>\n";
    }
  }
  return html + "</tbody></table></div>\n";
}

std::string note_html(const std::string& content, bool warning) {
  return fmt::format("<div class=\"note{}\">{}</div>\n", warning ? " warning" : "", content);
}

std::string summary_html(const PageHead& head, const std::vector<Section>& sections) {
  std::vector<Claim> all;
  for (const Section& section : sections) {
    all.insert(all.end(), section.claims().begin(), section.claims().end());
  }
  std::string html = "<h2 id=\"summary\">Summary</h2>\n";
  html +=
      "<p>" +
      prose(
          "P is the pre-trained network, P-T a network fine-tuned on the target from P with a "
          "fresh "
          "classifier, RI-T one trained on the target from random initialisation. Each claim of "
          "the "
          "paper has a rule, stated in its box, that makes a verdict of the measured numbers. All "
          "verdicts:") +
      "</p>\n<p>" + counts_of(all) + "</p>\n";
  for (const std::string& remark : head.remarks)
    html += note_html("<p>" + prose(remark) + "</p>", false);
  if (!head.problems.empty()) {
    std::string list =
        "<p><b>Damaged files.</b> These could not be used; everything else is "
        "reported below.</p>\n<ul>\n";
    for (const std::string& item : head.problems) list += "<li>" + prose(item) + "</li>\n";
    html += note_html(list + "</ul>", true);
  }
  html += experiments_table(sections);
  html += "<h3>Every claim and its verdicts</h3>\n" + verdicts_table(sections, head.columns);
  return html;
}

}  // namespace

Section::Section(std::string label, std::string id, std::string heading)
    : label_(std::move(label)), id_(std::move(id)), heading_(std::move(heading)) {}

void Section::lead(const std::string& word, const std::string& text) {
  body_ += "<p><b>" + prose(word) + ".</b> " + prose(text) + "</p>\n";
}

void Section::paragraph(const std::string& text) {
  body_ += "<p>" + prose(text) + "</p>\n";
}

void Section::note(const std::string& text, bool warning) {
  body_ += note_html("<p>" + prose(text) + "</p>", warning);
}

void Section::not_run(const std::string& what) {
  body_ += fmt::format("<p class=\"missing\">{} {}</p>\n", prose(what), badge(Verdict::kNotRun));
}

void Section::figures(const std::vector<Figure>& figures) {
  if (figures.empty()) return;
  body_ += "<div class=\"figures\">\n";
  for (const Figure& figure : figures) {
    body_ += fmt::format(
        "<figure>\n{}<figcaption><b>Figure {}.{}.</b> {}{}</figcaption>\n</figure>\n",
        figure.content, label_, ++figure_count_, prose(figure.caption), links(figure.data));
  }
  body_ += "</div>\n";
}

void Section::table(const Table& table) {
  if (table.rows.empty()) return;
  body_ += fmt::format(
      "<figure class=\"table\"><figcaption><b>Table {}.{}.</b> {}{}</figcaption>\n"
      "<div class=\"scroll\"><table>\n<thead><tr>",
      label_, ++table_count_, prose(table.caption), links(table.data));
  for (const std::string& name : table.header) {
    body_ += "<th scope=\"col\">" + prose(name) + "</th>";
  }
  body_ += "</tr></thead>\n<tbody>\n";
  for (const std::vector<TableCell>& row : table.rows) {
    BASIN_CHECK(row.size() == table.header.size(), "table '", table.caption, "': a row of ",
                row.size(), " cells under a header of ", table.header.size());
    body_ += "<tr>";
    for (std::size_t i = 0; i < row.size(); ++i) {
      body_ += i == 0 ? "<th scope=\"row\">" : "<td>";
      body_ += prose(row[i].text);
      if (!row[i].note.empty()) {
        body_ += "<span class=\"small\">" + prose(row[i].note) + "</span>";
      }
      body_ += i == 0 ? "</th>" : "</td>";
    }
    body_ += "</tr>\n";
  }
  body_ += "</tbody></table></div></figure>\n";
}

void Section::claim(const Claim& claim) {
  body_ +=
      fmt::format("<div class=\"claim\" id=\"{}\">\n<h3>Claim: {}</h3>\n<p class=\"rule\">{}</p>\n",
                  claim_id(*this, claims_.size()), prose(claim.statement), prose(claim.rule));
  for (const Finding& finding : claim.findings) {
    body_ += fmt::format(
        "<div class=\"finding\"><span class=\"target\">{}</span>{}"
        "<span class=\"measured\">{}</span><span class=\"paper\">Paper: {}</span></div>\n",
        prose(finding.target), badge(finding.judgement.verdict), prose(finding.judgement.measured),
        prose(finding.paper));
  }
  body_ += "</div>\n";
  claims_.push_back(claim);
}

std::string Section::html() const {
  return fmt::format("<section>\n<h2 id=\"{}\">{} {}</h2>\n{}</section>\n", escape_markup(id_),
                     label_, prose(heading_), body_);
}

std::string page_html(const PageHead& head, const std::vector<Section>& sections) {
  std::string contents = "<a href=\"#summary\">Summary</a>\n";
  std::string body = summary_html(head, sections);
  for (const Section& section : sections) {
    contents += fmt::format("<a href=\"#{}\">{} {}</a>\n", escape_markup(section.id()),
                            section.label(), prose(section.heading()));
    body += section.html();
  }
  return fmt::format(
      "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
      "<title>{0}</title>\n<style>{1}</style>\n</head>\n<body>\n<main>\n<header>\n<h1>{0}</h1>\n"
      "<p class=\"subtitle\">{2}</p>\n</header>\n<nav aria-label=\"Contents\">\n{3}</nav>\n{4}"
      "<footer>Written by Basin. This page holds all it shows; its links lead to the files of the "
      "results folder beside it.</footer>\n</main>\n</body>\n</html>\n",
      escape_markup(head.title), kStyleSheet, prose(head.subtitle), contents, body);
}

std::string encode_url(std::string_view path) {
  std::string encoded;
  for (const char c : path) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x80 &&
        (std::isalnum(byte) || std::string_view("-._~/").find(c) != std::string_view::npos)) {
      encoded += c;
    } else {
      encoded += fmt::format("%{:02X}", byte);
    }
  }
  return encoded;
}

std::string base64(std::string_view bytes) {
  constexpr std::string_view kAlphabet =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string encoded;
  encoded.reserve((bytes.size() + 2) / 3 * 4);
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    const std::size_t left = std::min<std::size_t>(3, bytes.size() - i);
    unsigned group = 0;
    for (std::size_t k = 0; k < 3; ++k) {
      group = group << 8 | (k < left ? static_cast<unsigned char>(bytes[i + k]) : 0u);
    }
    for (std::size_t k = 0; k < 4; ++k) {
      encoded += k <= left ? kAlphabet[group >> (18 - 6 * k) & 63] : '=';
    }
  }
  return encoded;
}

std::string embedded_png(const std::filesystem::path& path, const std::string& description) {
  std::ifstream file(path, std::ios::binary);
  BASIN_CHECK(file, path.string(), ": cannot be opened for reading");
  const std::string bytes((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  BASIN_CHECK(std::string_view(bytes).starts_with("\x89PNG\r\n\x1a\n"), path.string(),
              ": not a PNG file");
  return fmt::format("<img alt=\"{}\" src=\"data:image/png;base64,{}\">\n",
                     escape_markup(description), base64(bytes));
}

}  // namespace basin::report
