// What the charts share: the canvas, axes, styles, legends. Units are those of the viewBox; a page
// scales them to fit.
#pragma once

#include <fmt/format.h>

#include <limits>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "experiments/report/svg.h"

namespace basin::report {

constexpr double kWidth = 420;  // narrow enough for type to stay readable on a phone
constexpr double kFont = 12;
constexpr const char* kInk = "#1c2330";
constexpr const char* kSoftInk = "#4a5362";
constexpr const char* kGrid = "#e3e7ed";

struct Style {
  const char* color;
  const char* dash;
};
const Style& style_of(int index);

double text_width(std::string_view text);

struct Axis {
  double from, to;  // the values at the ends
  double step;      // between ticks
  int decimals;     // that a tick's label needs
  double pixel_from, pixel_to;

  double place(double value) const;
  std::vector<double> ticks() const;
  std::string label(double tick) const { return display(tick, decimals); }
};

// An axis over [low, high] with at most `most_ticks` steps of 1, 2 or 5 times a power of ten.
// `round_out` moves the ends to ticks.
Axis make_axis(double low, double high, int most_ticks, bool round_out, bool integer);

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
            const char* color = kSoftInk, const char* extra = "");
  // A chart's name, in the first line of the drawing.
  void title(std::string_view content);
  void line(double x1, double y1, double x2, double y2, const char* color, double width,
            std::string_view dash = "");
  std::string finish(double height, std::string_view description) const;

 private:
  std::string body_;
};

void draw_marker(Canvas& canvas, int style, double x, double y, double size);

struct LegendItem {
  std::string name;
  int style;
};
// Draws the legend in as many rows as it needs from `top` on; returns where it ends. Bars get a
// filled key, lines a stroke with its marker.
double draw_legend(Canvas& canvas, const std::vector<LegendItem>& items, double top, bool bars);

// A vertical or horizontal interval with caps.
void draw_interval(Canvas& canvas, double x1, double y1, double x2, double y2, const char* color);

std::string empty_chart(std::string_view description);

bool has_interval(const std::vector<double>& lower, const std::vector<double>& upper,
                  std::size_t i);
// "71.25 (70.00 to 72.00)"
std::string with_interval(double value, const std::vector<double>& lower,
                          const std::vector<double>& upper, std::size_t i, int decimals);

// The least and the greatest of the finite values it is shown.
struct Extent {
  double low = std::numeric_limits<double>::infinity();
  double high = -std::numeric_limits<double>::infinity();
  void include(double value);
  bool empty() const { return low > high; }
};

}  // namespace basin::report
