// A small check that markup is well-formed XML, enough for the charts: elements, attributes in
// double quotes, text, the five named entities. And pieces of texts.
#pragma once

#include <cctype>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace basin {

// What is wrong with `text`, or "" for one well-formed element.
inline std::string xml_error(std::string_view text) {
  std::size_t at = 0;
  std::vector<std::string> open;
  bool had_root = false;
  const auto is_name = [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) || c == '-' || c == ':' || c == '_';
  };
  const auto read_name = [&] {
    const std::size_t start = at;
    while (at < text.size() && is_name(text[at])) ++at;
    return std::string(text.substr(start, at - start));
  };
  const auto skip_space = [&] {
    while (at < text.size() && std::isspace(static_cast<unsigned char>(text[at]))) ++at;
  };
  const auto bad_content = [](std::string_view content) {
    for (std::size_t i = 0; i < content.size(); ++i) {
      if (content[i] == '<') return true;
      if (content[i] != '&') continue;
      bool known = false;
      for (const std::string_view entity : {"&amp;", "&lt;", "&gt;", "&quot;", "&#39;"}) {
        known = known || content.substr(i).starts_with(entity);
      }
      if (!known) return true;
    }
    return false;
  };
  while (at < text.size()) {
    if (text[at] != '<') {
      const std::size_t end = std::min(text.find('<', at), text.size());
      const std::string_view content = text.substr(at, end - at);
      if (bad_content(content)) return "a stray & in " + std::string(content);
      if (open.empty() && content.find_first_not_of(" \n") != std::string_view::npos) {
        return "text outside the element";
      }
      at = end;
      continue;
    }
    ++at;
    const bool closing = at < text.size() && text[at] == '/';
    if (closing) ++at;
    const std::string name = read_name();
    if (name.empty()) return "an element without a name";
    if (closing) {
      if (open.empty() || open.back() != name) return "</" + name + "> closes nothing";
      open.pop_back();
      if (at >= text.size() || text[at] != '>') return "</" + name + " is not closed";
      ++at;
      continue;
    }
    if (open.empty() && had_root) return "a second element <" + name + ">";
    had_root = true;
    std::set<std::string> attributes;
    while (true) {
      skip_space();
      if (at >= text.size()) return "<" + name + " is not closed";
      if (text[at] == '>') {
        ++at;
        open.push_back(name);
        break;
      }
      if (text.substr(at).starts_with("/>")) {
        at += 2;
        break;
      }
      const std::string attribute = read_name();
      if (attribute.empty()) return "a bad attribute in <" + name;
      if (!attributes.insert(attribute).second) return attribute + " stands twice in <" + name;
      if (!text.substr(at).starts_with("=\"")) return attribute + " has no value in quotes";
      at += 2;
      const std::size_t end = text.find('"', at);
      if (end == std::string_view::npos) return attribute + " is never closed";
      if (bad_content(text.substr(at, end - at))) return "a bad value of " + attribute;
      at = end + 1;
    }
  }
  if (!open.empty()) return "<" + open.back() + "> is never closed";
  return had_root ? "" : "no element";
}

// What lies between each `begin` in `text` and the `end` after it.
inline std::vector<std::string> between(const std::string& text, const std::string& begin,
                                        const std::string& end) {
  std::vector<std::string> found;
  for (std::size_t at = text.find(begin); at != std::string::npos; at = text.find(begin, at + 1)) {
    const std::size_t from = at + begin.size();
    found.push_back(text.substr(from, text.find(end, from) - from));
  }
  return found;
}

}  // namespace basin
