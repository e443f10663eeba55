// Line charts.
#include <algorithm>
#include <array>
#include <cmath>

#include "experiments/report/svg_canvas.h"
#include "kernels/base/check.h"

namespace basin::report {
namespace {

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

}  // namespace

std::string line_chart(const LineChart& chart) {
  Extent x_extent, y_extent;
  for (const LineSeries& series : chart.series) {
    BASIN_CHECK(series.x.size() == series.y.size() && series.lower.size() == series.upper.size() &&
                    (series.lower.empty() || series.lower.size() == series.x.size()),
                "line chart, series '", series.name, "': ", series.x.size(), " x, ",
                series.y.size(), " y, ", series.lower.size(), " lower and ", series.upper.size(),
                " upper values; they must match");
    for (std::size_t i = 0; i < series.x.size(); ++i) {
      BASIN_CHECK(chart.x_categories.empty() ||
                      (series.x[i] >= 0 && series.x[i] == std::floor(series.x[i]) &&
                       series.x[i] < static_cast<double>(chart.x_categories.size())),
                  "line chart, series '", series.name, "': x is ", series.x[i],
                  "; it must be the index of one of ", chart.x_categories.size(), " categories");
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
  canvas.title(chart.y_label);
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
  const bool categories = !chart.x_categories.empty();
  Axis x_axis = make_axis(x_extent.low, x_extent.high, 7, false, chart.integer_x);
  if (categories) {
    const double last = static_cast<double>(chart.x_categories.size()) - 1;
    x_axis = Axis{-0.4, last + 0.4, 1, 0, 0, 1};
  }
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
    canvas.text(
        x, plot_bottom + 17,
        categories ? chart.x_categories[static_cast<std::size_t>(tick)] : x_axis.label(tick),
        "middle");
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
              "{} \u00b7 {} {}: {}", series.name, chart.x_label,
              categories ? chart.x_categories[static_cast<std::size_t>(series.x[i])]
                         : fmt::format("{:.6g}", series.x[i]),
              with_interval(series.y[i], series.lower, series.upper, i, chart.decimals))));
    }
  }
  return canvas.finish(plot_bottom + 46, chart.description);
}

}  // namespace basin::report
