// The shared parts of the charts.
#include "experiments/report/svg_canvas.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace basin::report {
namespace {

constexpr double kCharacterWidth = 0.56 * kFont;  // mean advance of a sans-serif face

// The palette of Okabe and Ito without its yellow, which is too pale for lines on white.
constexpr std::array<Style, 7> kStyles = {{{"#0072B2", ""},
                                           {"#D55E00", "7 3"},
                                           {"#009E73", "2 3"},
                                           {"#CC79A7", "9 3 2 3"},
                                           {"#000000", "4 2"},
                                           {"#E69F00", "12 4"},
                                           {"#56B4E9", "1 2"}}};

}  // namespace

const Style& style_of(int index) {
  return kStyles[static_cast<std::size_t>(index) % kStyles.size()];
}

double text_width(std::string_view text) {
  const auto starts_character = [](char c) {
    return (static_cast<unsigned char>(c) & 0xC0) != 0x80;
  };
  return kCharacterWidth *
         static_cast<double>(std::count_if(text.begin(), text.end(), starts_character));
}

std::string display(double value, int decimals) {
  std::string text = fmt::format("{:.{}f}", std::abs(value), decimals);
  const bool is_zero = text.find_first_not_of("0.") == std::string::npos;
  return value < 0 && !is_zero ? "\u2212" + text : text;
}

double Axis::place(double value) const {
  const double inside = std::clamp(value, std::min(from, to), std::max(from, to));
  return pixel_from + (inside - from) / (to - from) * (pixel_to - pixel_from);
}

std::vector<double> Axis::ticks() const {
  std::vector<double> all;
  const auto first = static_cast<long>(std::ceil(from / step - 1e-9));
  const auto last = static_cast<long>(std::floor(to / step + 1e-9));
  for (long i = first; i <= last; ++i) all.push_back(static_cast<double>(i) * step);
  return all;
}

Axis make_axis(double low, double high, int most_ticks, bool round_out, bool integer) {
  if (!(high > low)) {
    const double margin = low == 0 ? 1 : std::abs(low) * 0.1;
    low -= margin;
    high += margin;
  }
  const double raw = (high - low) / most_ticks;
  const double power = std::pow(10.0, std::floor(std::log10(raw)));
  double step = 10 * power;
  for (const double factor : {1.0, 2.0, 5.0}) {
    if (factor * power >= raw * (1 - 1e-9)) {
      step = factor * power;
      break;
    }
  }
  if (integer) step = std::max(1.0, step);
  Axis axis{low, high, step, 0, 0, 1};
  axis.decimals = std::max(0, static_cast<int>(-std::floor(std::log10(step) + 1e-9)));
  if (round_out) {
    axis.from = std::floor(low / step + 1e-9) * step;
    axis.to = std::ceil(high / step - 1e-9) * step;
  }
  return axis;
}

void Canvas::text(double x, double y, std::string_view content, const char* anchor,
                  const char* color, const char* extra) {
  add(R"(<text x="{:.1f}" y="{:.1f}" text-anchor="{}" fill="{}"{}>{}</text>)", x, y, anchor, color,
      extra, escape_markup(content));
}

void Canvas::title(std::string_view content) {
  text(8, 15, content, "start", kInk, R"( font-weight="600")");
}

void Canvas::line(double x1, double y1, double x2, double y2, const char* color, double width,
                  std::string_view dash) {
  add(R"(<line x1="{:.1f}" y1="{:.1f}" x2="{:.1f}" y2="{:.1f}" stroke="{}" stroke-width="{}"{}/>)",
      x1, y1, x2, y2, color, width,
      dash.empty() ? std::string() : fmt::format(R"( stroke-dasharray="{}")", dash));
}

std::string Canvas::finish(double height, std::string_view description) const {
  const std::string label = escape_markup(description);
  return fmt::format(
      R"(<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {:.0f} {:.0f}" role="img" aria-label="{}" )"
      R"(font-family="system-ui, -apple-system, 'Segoe UI', Roboto, 'Noto Sans', sans-serif" font-size="{}">)"
      "\n{}</svg>\n",
      kWidth, height, label, kFont, body_);
}

void draw_marker(Canvas& canvas, int style, double x, double y, double size) {
  const char* color = style_of(style).color;
  switch (static_cast<std::size_t>(style) % kStyles.size()) {
    case 0:
    case 5:
      canvas.add(R"(<circle cx="{:.1f}" cy="{:.1f}" r="{:.1f}" fill="{}"/>)", x, y, size, color);
      return;
    case 1:
    case 6:
      canvas.add(R"(<rect x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}" fill="{}"/>)",
                 x - size * 0.9, y - size * 0.9, size * 1.8, size * 1.8, color);
      return;
    case 2:
      canvas.add(R"(<path d="M{:.1f} {:.1f}L{:.1f} {:.1f}L{:.1f} {:.1f}Z" fill="{}"/>)", x,
                 y - size * 1.25, x + size * 1.15, y + size * 0.85, x - size * 1.15,
                 y + size * 0.85, color);
      return;
    default:
      canvas.add(
          R"(<path d="M{:.1f} {:.1f}L{:.1f} {:.1f}L{:.1f} {:.1f}L{:.1f} {:.1f}Z" fill="{}"/>)", x,
          y - size * 1.3, x + size * 1.3, y, x, y + size * 1.3, x - size * 1.3, y, color);
  }
}

double draw_legend(Canvas& canvas, const std::vector<LegendItem>& items, double top, bool bars) {
  constexpr double kRow = 18, kKey = 26, kGap = 16, kLeft = 8;
  double x = kLeft;
  double y = top + 8;
  for (const LegendItem& item : items) {
    const double width = kKey + 6 + text_width(item.name);
    if (x > kLeft && x + width > kWidth - 4) {
      x = kLeft;
      y += kRow;
    }
    const Style& style = style_of(item.style);
    if (bars) {
      canvas.add(R"(<rect x="{:.1f}" y="{:.1f}" width="16" height="10" fill="{}"/>)", x + 6, y - 5,
                 style.color);
    } else {
      canvas.line(x, y, x + kKey, y, style.color, 2, style.dash);
      draw_marker(canvas, item.style, x + kKey / 2, y, 3.2);
    }
    canvas.text(x + kKey + 6, y + 4, item.name, "start", kInk);
    x += width + kGap;
  }
  return items.empty() ? top : y + 12;
}

void draw_interval(Canvas& canvas, double x1, double y1, double x2, double y2, const char* color) {
  const double cap_x = y1 == y2 ? 0 : 3.5;
  const double cap_y = y1 == y2 ? 3.5 : 0;
  canvas.add(
      R"(<path d="M{:.1f} {:.1f}L{:.1f} {:.1f}M{:.1f} {:.1f}L{:.1f} {:.1f}M{:.1f} {:.1f}L{:.1f} {:.1f}" stroke="{}" stroke-width="1.4" fill="none"/>)",
      x1, y1, x2, y2, x1 - cap_x, y1 - cap_y, x1 + cap_x, y1 + cap_y, x2 - cap_x, y2 - cap_y,
      x2 + cap_x, y2 + cap_y, color);
}

std::string empty_chart(std::string_view description) {
  Canvas canvas;
  canvas.text(kWidth / 2, 40, "no values to draw", "middle");
  return canvas.finish(70, description);
}

bool has_interval(const std::vector<double>& lower, const std::vector<double>& upper,
                  std::size_t i) {
  return !lower.empty() && std::isfinite(lower[i]) && std::isfinite(upper[i]);
}

std::string with_interval(double value, const std::vector<double>& lower,
                          const std::vector<double>& upper, std::size_t i, int decimals) {
  std::string text = display(value, decimals);
  if (has_interval(lower, upper, i)) {
    text += fmt::format(" ({} to {})", display(lower[i], decimals), display(upper[i], decimals));
  }
  return text;
}

void Extent::include(double value) {
  if (!std::isfinite(value)) return;
  low = std::min(low, value);
  high = std::max(high, value);
}

std::string escape_markup(std::string_view text) {
  std::string escaped;
  for (const char c : text) {
    switch (c) {
      case '&':
        escaped += "&amp;";
        break;
      case '<':
        escaped += "&lt;";
        break;
      case '>':
        escaped += "&gt;";
        break;
      case '"':
        escaped += "&quot;";
        break;
      case '\'':
        escaped += "&#39;";
        break;
      default:
        escaped += c;
    }
  }
  return escaped;
}

}  // namespace basin::report
