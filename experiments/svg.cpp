// Layout and drawing of the charts. Units are those of the viewBox; a page scales them to fit.
#include "experiments/svg.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "kernels/check.h"

namespace basin {
namespace {

constexpr double kWidth = 420;  // narrow enough for type to stay readable on a phone
constexpr double kFont = 12;
constexpr double kCharacterWidth = 0.56 * kFont;  // mean advance of a sans-serif face
constexpr const char* kInk = "#1c2330";
constexpr const char* kSoftInk = "#4a5362";
constexpr const char* kGrid = "#e3e7ed";

struct Style {
  const char* color;
  const char* dash;
};
// The palette of Okabe and Ito without its yellow, which is too pale for lines on white.
constexpr std::array<Style, 7> kStyles = {{{"#0072B2", ""},
                                           {"#D55E00", "7 3"},
                                           {"#009E73", "2 3"},
                                           {"#CC79A7", "9 3 2 3"},
                                           {"#000000", "4 2"},
                                           {"#E69F00", "12 4"},
                                           {"#56B4E9", "1 2"}}};

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

// A number for a reader: fixed decimals and a true minus sign.
std::string display(double value, int decimals) {
  std::string text = fmt::format("{:.{}f}", std::abs(value), decimals);
  const bool is_zero = text.find_first_not_of("0.") == std::string::npos;
  return value < 0 && !is_zero ? "\u2212" + text : text;
}

struct Axis {
  double from, to;  // the values at the ends
  double step;      // between ticks
  int decimals;     // that a tick's label needs
  double pixel_from, pixel_to;

  double place(double value) const {
    const double inside = std::clamp(value, std::min(from, to), std::max(from, to));
    return pixel_from + (inside - from) / (to - from) * (pixel_to - pixel_from);
  }
  std::vector<double> ticks() const {
    std::vector<double> all;
    const auto first = static_cast<long>(std::ceil(from / step - 1e-9));
    const auto last = static_cast<long>(std::floor(to / step + 1e-9));
    for (long i = first; i <= last; ++i) all.push_back(static_cast<double>(i) * step);
    return all;
  }
  std::string label(double tick) const { return display(tick, decimals); }
};

// An axis over [low, high] with at most `most_ticks` steps of 1, 2 or 5 times a power of ten.
// `round_out` moves the ends to ticks.
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

// Collects the elements of one <svg>.
class Canvas {
 public:
  template <class... Arguments>
  void add(fmt::format_string<Arguments...> format, Arguments&&... arguments) {
    fmt::format_to(std::back_inserter(body_), format, std::forward<Arguments>(arguments)...);
    body_ += '\n';
  }

  // `anchor`: start, middle or end. `extra`: further attributes.
  void text(double x, double y, std::string_view content, const char* anchor = "start",
            const char* color = kSoftInk, const char* extra = "") {
    add(R"(<text x="{:.1f}" y="{:.1f}" text-anchor="{}" fill="{}"{}>{}</text>)", x, y, anchor,
        color, extra, escape_markup(content));
  }

  void line(double x1, double y1, double x2, double y2, const char* color, double width,
            std::string_view dash = "") {
    add(R"(<line x1="{:.1f}" y1="{:.1f}" x2="{:.1f}" y2="{:.1f}" stroke="{}" stroke-width="{}"{}/>)",
        x1, y1, x2, y2, color, width,
        dash.empty() ? std::string() : fmt::format(R"( stroke-dasharray="{}")", dash));
  }

  std::string finish(double height, std::string_view description) const {
    const std::string label = escape_markup(description);
    return fmt::format(
        R"(<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {:.0f} {:.0f}" role="img" aria-label="{}" )"
        R"(font-family="system-ui, -apple-system, 'Segoe UI', Roboto, 'Noto Sans', sans-serif" font-size="{}">)"
        "\n{}</svg>\n",
        kWidth, height, label, kFont, body_);
  }

 private:
  std::string body_;
};

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

struct LegendItem {
  std::string name;
  int style;
};

// Draws the legend in as many rows as it needs from `top` on; returns where it ends. Bars get a
// filled key, lines a stroke with its marker.
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

// A vertical or horizontal interval with caps.
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

// The least and the greatest of the finite values it is shown.
struct Extent {
  double low = std::numeric_limits<double>::infinity();
  double high = -std::numeric_limits<double>::infinity();
  void include(double value) {
    if (!std::isfinite(value)) return;
    low = std::min(low, value);
    high = std::max(high, value);
  }
  bool empty() const { return low > high; }
};

// The band between lower and upper, one polygon per uninterrupted stretch.
void draw_band(Canvas& canvas, const LineSeries& series, const Axis& x_axis, const Axis& y_axis) {
  std::string upper_edge, lower_edge;
  const auto flush = [&] {
    if (!upper_edge.empty()) {
      canvas.add(R"(<polygon points="{}{}" fill="{}" fill-opacity="0.16"/>)", upper_edge,
                 lower_edge, style_of(series.style).color);
    }
    upper_edge.clear();
    lower_edge.clear();
  };
  for (std::size_t i = 0; i < series.x.size(); ++i) {
    if (!std::isfinite(series.y[i]) || !has_interval(series.lower, series.upper, i)) {
      flush();
      continue;
    }
    const double x = x_axis.place(series.x[i]);
    upper_edge += fmt::format("{:.1f},{:.1f} ", x, y_axis.place(series.upper[i]));
    lower_edge = fmt::format("{:.1f},{:.1f} ", x, y_axis.place(series.lower[i])) + lower_edge;
  }
  flush();
}

void draw_line(Canvas& canvas, const LineSeries& series, const Axis& x_axis, const Axis& y_axis) {
  std::string path;
  bool pen_down = false;
  for (std::size_t i = 0; i < series.x.size(); ++i) {
    if (!std::isfinite(series.y[i])) {
      pen_down = false;
      continue;
    }
    path += fmt::format("{}{:.1f} {:.1f}", pen_down ? "L" : "M", x_axis.place(series.x[i]),
                        y_axis.place(series.y[i]));
    pen_down = true;
  }
  const Style& style = style_of(series.style);
  canvas.add(R"(<path d="{}" fill="none" stroke="{}" stroke-width="2" stroke-linejoin="round"{}/>)",
             path, style.color,
             *style.dash ? fmt::format(R"( stroke-dasharray="{}")", style.dash) : std::string());
}

std::string with_interval(double value, const std::vector<double>& lower,
                          const std::vector<double>& upper, std::size_t i, int decimals) {
  std::string text = display(value, decimals);
  if (has_interval(lower, upper, i)) {
    text += fmt::format(" ({} to {})", display(lower[i], decimals), display(upper[i], decimals));
  }
  return text;
}

// White and a dark blue with three shades between; lightness falls all the way, so the map also
// reads in grey.
struct Shade {
  std::string fill;
  bool dark;
};
Shade shade_at(double fraction) {
  constexpr std::array<std::array<double, 3>, 5> kAnchors = {
      {{247, 250, 253}, {198, 220, 239}, {120, 174, 214}, {38, 112, 178}, {9, 48, 104}}};
  const double position = std::clamp(fraction, 0.0, 1.0) * (kAnchors.size() - 1);
  const auto left = std::min(static_cast<std::size_t>(position), kAnchors.size() - 2);
  const double share = position - static_cast<double>(left);
  std::array<int, 3> channel{};
  for (std::size_t c = 0; c < 3; ++c) {
    channel[c] = static_cast<int>(
        std::lround(kAnchors[left][c] + share * (kAnchors[left + 1][c] - kAnchors[left][c])));
  }
  return {fmt::format("#{:02x}{:02x}{:02x}", channel[0], channel[1], channel[2]), fraction > 0.65};
}

}  // namespace

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

std::string line_chart(const LineChart& chart) {
  Extent x_extent, y_extent;
  for (const LineSeries& series : chart.series) {
    BASIN_CHECK(series.x.size() == series.y.size() && series.lower.size() == series.upper.size() &&
                    (series.lower.empty() || series.lower.size() == series.x.size()),
                "line chart, series '", series.name, "': ", series.x.size(), " x, ",
                series.y.size(), " y, ", series.lower.size(), " lower and ", series.upper.size(),
                " upper values; they must match");
    for (std::size_t i = 0; i < series.x.size(); ++i) {
      if (!std::isfinite(series.y[i])) continue;
      x_extent.include(series.x[i]);
      y_extent.include(series.y[i]);
      if (has_interval(series.lower, series.upper, i)) {
        y_extent.include(series.lower[i]);
        y_extent.include(series.upper[i]);
      }
    }
  }
  if (x_extent.empty()) return empty_chart(chart.description);
  // An interval may reach past what the quantity can be; the axis does not follow it there.
  if (chart.y_floor) y_extent.low = std::max(y_extent.low, *chart.y_floor);
  if (chart.y_ceiling) y_extent.high = std::min(y_extent.high, *chart.y_ceiling);

  Canvas canvas;
  canvas.text(8, 15, chart.y_label, "start", kInk, R"( font-weight="600")");
  std::vector<LegendItem> legend;
  for (const LineSeries& series : chart.series) legend.push_back({series.name, series.style});
  const double plot_top = draw_legend(canvas, legend, 24, false) + 6;
  const double plot_bottom = plot_top + 200;

  Axis y_axis = make_axis(y_extent.low, y_extent.high, 6, true, false);
  if (chart.y_floor) y_axis.from = std::max(y_axis.from, *chart.y_floor);
  if (chart.y_ceiling) y_axis.to = std::min(y_axis.to, *chart.y_ceiling);
  y_axis.pixel_from = plot_bottom;
  y_axis.pixel_to = plot_top;
  double tick_width = 0;
  for (const double tick : y_axis.ticks()) {
    tick_width = std::max(tick_width, text_width(y_axis.label(tick)));
  }
  Axis x_axis = make_axis(x_extent.low, x_extent.high, 7, false, chart.integer_x);
  x_axis.pixel_from = tick_width + 18;
  x_axis.pixel_to = kWidth - 14;

  for (const double tick : y_axis.ticks()) {
    const double y = y_axis.place(tick);
    canvas.line(x_axis.pixel_from, y, x_axis.pixel_to, y, kGrid, 1);
    canvas.text(x_axis.pixel_from - 7, y + 4, y_axis.label(tick), "end");
  }
  canvas.line(x_axis.pixel_from, plot_bottom, x_axis.pixel_to, plot_bottom, kSoftInk, 1);
  for (const double tick : x_axis.ticks()) {
    const double x = x_axis.place(tick);
    canvas.line(x, plot_bottom, x, plot_bottom + 4, kSoftInk, 1);
    canvas.text(x, plot_bottom + 17, x_axis.label(tick), "middle");
  }
  canvas.text((x_axis.pixel_from + x_axis.pixel_to) / 2, plot_bottom + 36, chart.x_label, "middle",
              kInk);

  if (chart.spread == Spread::kBand) {
    for (const LineSeries& series : chart.series) draw_band(canvas, series, x_axis, y_axis);
  }
  for (const LineSeries& series : chart.series) draw_line(canvas, series, x_axis, y_axis);
  for (const LineSeries& series : chart.series) {
    const std::size_t stride = (series.x.size() + 15) / 16;  // of the visible markers
    for (std::size_t i = 0; i < series.x.size(); ++i) {
      if (!std::isfinite(series.y[i])) continue;
      const double x = x_axis.place(series.x[i]);
      const double y = y_axis.place(series.y[i]);
      if (chart.spread == Spread::kErrorBars && has_interval(series.lower, series.upper, i)) {
        draw_interval(canvas, x, y_axis.place(series.lower[i]), x, y_axis.place(series.upper[i]),
                      style_of(series.style).color);
      }
      if (i % stride == 0 || i + 1 == series.x.size()) draw_marker(canvas, series.style, x, y, 3);
      canvas.add(
          R"(<circle cx="{:.1f}" cy="{:.1f}" r="7" fill="transparent"><title>{}</title></circle>)",
          x, y,
          escape_markup(fmt::format(
              "{} \u00b7 {} {:.6g}: {}", series.name, chart.x_label, series.x[i],
              with_interval(series.y[i], series.lower, series.upper, i, chart.decimals))));
    }
  }
  return canvas.finish(plot_bottom + 46, chart.description);
}

std::string bar_chart(const BarChart& chart) {
  Extent extent;
  extent.include(0);
  bool any = false;
  double value_width = 0;
  for (const BarSeries& series : chart.series) {
    BASIN_CHECK(series.values.size() == chart.categories.size() &&
                    series.lower.size() == series.upper.size() &&
                    (series.lower.empty() || series.lower.size() == series.values.size()),
                "bar chart, series '", series.name, "': ", series.values.size(), " values, ",
                series.lower.size(), " lower and ", series.upper.size(), " upper for ",
                chart.categories.size(), " categories; they must match");
    for (std::size_t i = 0; i < series.values.size(); ++i) {
      if (!std::isfinite(series.values[i])) continue;
      any = true;
      extent.include(series.values[i]);
      if (has_interval(series.lower, series.upper, i)) {
        extent.include(series.lower[i]);
        extent.include(series.upper[i]);
      }
      value_width = std::max(value_width, text_width(display(series.values[i], chart.decimals)));
    }
  }
  if (!any) return empty_chart(chart.description);
  if (chart.ceiling) extent.high = std::min(extent.high, *chart.ceiling);
  extent.low = std::max(extent.low, 0.0);

  Canvas canvas;
  canvas.text(8, 15, chart.value_label, "start", kInk, R"( font-weight="600")");
  std::vector<LegendItem> legend;
  for (const BarSeries& series : chart.series) legend.push_back({series.name, series.style});
  const double plot_top = draw_legend(canvas, legend, 24, true) + 4;

  const double bar = 11;
  const double gap = 9;
  const double row = bar * static_cast<double>(chart.series.size()) + gap;
  const double plot_bottom = plot_top + row * static_cast<double>(chart.categories.size()) + 2;
  double name_width = 0;
  for (const std::string& name : chart.categories) {
    name_width = std::max(name_width, text_width(name));
  }
  Axis axis = make_axis(0, extent.high, 6, true, false);
  if (chart.ceiling) axis.to = std::min(axis.to, *chart.ceiling);
  axis.pixel_from = std::min(name_width + 20, kWidth / 2);
  axis.pixel_to = kWidth - value_width - 22;

  for (const double tick : axis.ticks()) {
    const double x = axis.place(tick);
    canvas.line(x, plot_top, x, plot_bottom, kGrid, 1);
    canvas.text(x, plot_bottom + 16, axis.label(tick), "middle");
  }
  for (std::size_t i = 0; i < chart.categories.size(); ++i) {
    const double top = plot_top + row * static_cast<double>(i) + gap / 2;
    canvas.text(axis.pixel_from - 8, top + (row - gap) / 2 + 4, chart.categories[i], "end", kInk);
    for (std::size_t s = 0; s < chart.series.size(); ++s) {
      const BarSeries& series = chart.series[s];
      if (!std::isfinite(series.values[i])) continue;
      const double y = top + bar * static_cast<double>(s);
      const double end = axis.place(series.values[i]);
      canvas.add(
          R"(<rect x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}" fill="{}"><title>{}</title></rect>)",
          axis.pixel_from, y + 0.5, std::max(0.0, end - axis.pixel_from), bar - 1,
          style_of(series.style).color,
          escape_markup(fmt::format(
              "{} \u00b7 {}: {}", series.name, chart.categories[i],
              with_interval(series.values[i], series.lower, series.upper, i, chart.decimals + 1))));
    }
  }
  canvas.line(axis.pixel_from, plot_top, axis.pixel_from, plot_bottom, kSoftInk, 1);
  for (const BarSeries& series : chart.series) {
    if (!series.reference || !std::isfinite(*series.reference)) continue;
    const double x = axis.place(*series.reference);
    canvas.line(x, plot_top, x, plot_bottom, style_of(series.style).color, 1.2, "3 3");
  }
  // The numbers stand in a column of their own at the right, where no line or whisker crosses them.
  for (std::size_t i = 0; i < chart.categories.size(); ++i) {
    for (std::size_t s = 0; s < chart.series.size(); ++s) {
      const BarSeries& series = chart.series[s];
      if (!std::isfinite(series.values[i])) continue;
      const double y =
          plot_top + row * static_cast<double>(i) + gap / 2 + bar * (static_cast<double>(s) + 0.5);
      if (has_interval(series.lower, series.upper, i)) {
        draw_interval(canvas, axis.place(series.lower[i]), y, axis.place(series.upper[i]), y, kInk);
      }
      canvas.text(kWidth - 8, y + 3.5, display(series.values[i], chart.decimals), "end", kInk,
                  R"( font-size="10.5")");
    }
  }
  return canvas.finish(plot_bottom + 26, chart.description);
}

std::string heat_map(const HeatMap& map) {
  Extent extent;
  BASIN_CHECK(map.values.size() == map.rows.size(), "heat map: ", map.values.size(),
              " rows of values for ", map.rows.size(), " row names");
  for (const std::vector<double>& row : map.values) {
    BASIN_CHECK(row.size() == map.columns.size(), "heat map: ", row.size(), " values in a row for ",
                map.columns.size(), " column names");
    for (const double value : row) extent.include(value);
  }
  if (extent.empty()) return empty_chart(map.description);
  // Distances and rates begin at 0; a map that goes below it keeps its own least value.
  const double low = std::min(0.0, extent.low);
  const double high = extent.high > low ? extent.high : low + 1;

  Canvas canvas;
  canvas.text(8, 15, map.value_label, "start", kInk, R"( font-weight="600")");
  constexpr int kSteps = 32;
  constexpr double kKeyWidth = 128, kKeyTop = 26;
  const std::string low_label = display(low, map.decimals);
  const double key_left = 8 + text_width(low_label) + 6;
  canvas.text(8, kKeyTop + 10, low_label);
  for (int i = 0; i < kSteps; ++i) {
    canvas.add(R"(<rect x="{:.1f}" y="{:.1f}" width="{:.1f}" height="11" fill="{}"/>)",
               key_left + kKeyWidth * i / kSteps, kKeyTop, kKeyWidth / kSteps + 0.4,
               shade_at((i + 0.5) / kSteps).fill);
  }
  canvas.text(key_left + kKeyWidth + 6, kKeyTop + 10, display(high, map.decimals));

  double name_width = 0;
  for (const std::string& name : map.rows) name_width = std::max(name_width, text_width(name));
  const double left = std::min(name_width + 16, kWidth / 2);
  const double cell = (kWidth - 8 - left) / static_cast<double>(map.columns.size());
  double column_width = 0;
  for (const std::string& name : map.columns) {
    column_width = std::max(column_width, text_width(name));
  }
  // Column names that do not fit side by side stand upright.
  const bool upright = column_width > cell - 4;
  const double top = kKeyTop + 24 + (upright ? column_width : 14);
  constexpr double kRow = 22;
  for (std::size_t c = 0; c < map.columns.size(); ++c) {
    const double x = left + cell * (static_cast<double>(c) + 0.5);
    if (upright) {
      canvas.text(
          x + 4, top - 6, map.columns[c], "start", kInk,
          fmt::format(R"svg( transform="rotate(-90 {:.1f} {:.1f})")svg", x + 4, top - 6).c_str());
    } else {
      canvas.text(x, top - 6, map.columns[c], "middle", kInk);
    }
  }
  for (std::size_t r = 0; r < map.rows.size(); ++r) {
    const double y = top + kRow * static_cast<double>(r);
    canvas.text(left - 8, y + kRow / 2 + 4, map.rows[r], "end", kInk);
    for (std::size_t c = 0; c < map.columns.size(); ++c) {
      const double value = map.values[r][c];
      if (!std::isfinite(value)) continue;
      const double x = left + cell * static_cast<double>(c);
      const Shade shade = shade_at((value - low) / (high - low));
      const std::string label = display(value, map.decimals);
      canvas.add(
          R"(<rect x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}" fill="{}" stroke="#fff"><title>{}</title></rect>)",
          x, y, cell, kRow, shade.fill,
          escape_markup(fmt::format("{} \u00b7 {}: {}", map.rows[r], map.columns[c], label)));
      if (text_width(label) < cell - 2) {
        canvas.text(x + cell / 2, y + kRow / 2 + 4, label, "middle", shade.dark ? "#fff" : kInk,
                    R"( pointer-events="none")");
      }
    }
  }
  return canvas.finish(top + kRow * static_cast<double>(map.rows.size()) + 8, map.description);
}

}  // namespace basin
