// Bar charts.
#include <algorithm>
#include <array>
#include <cmath>

#include "experiments/report/svg_canvas.h"
#include "kernels/base/check.h"

namespace basin::report {

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
  canvas.title(chart.value_label);
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

}  // namespace basin::report
