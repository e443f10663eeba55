// Charts as SVG text: pure functions from the numbers to one <svg> element. Colours are those of
// Okabe and Ito, told apart also by dashes and markers; values show on hover.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace basin::report {

// `text` with the characters escaped that XML and HTML give a meaning to.
std::string escape_markup(std::string_view text);

// A number for a reader: fixed decimals and a true minus sign.
std::string display(double value, int decimals);

// How a line chart shows the spread of a series.
enum class Spread { kBand, kErrorBars };

// A value that is NaN or infinite is left out, and a line is interrupted there.
struct LineSeries {
  std::string name;
  int style = 0;  // which colour, dash and marker; the same thing keeps its style in all charts
  std::vector<double> x = {}, y = {};
  // Both empty, or one per point; NaN: no interval there.
  std::vector<double> lower = {}, upper = {};
};

struct LineChart {
  std::string description;  // for screen readers
  std::string x_label, y_label;
  std::vector<LineSeries> series;
  Spread spread = Spread::kBand;
  bool integer_x = false;                    // ticks of x at whole numbers only
  std::vector<std::string> x_categories;     // names of x = 0, 1, ... in place of numbers
  std::optional<double> y_floor, y_ceiling;  // values y cannot pass, such as 0 and 100 %
  int decimals = 2;                          // of the values shown on hover
};
// Throws basin::Error where the vectors of a series differ in length, or where there are categories
// and x is not the index of one.
std::string line_chart(const LineChart& chart);

struct BarSeries {
  std::string name;
  int style = 0;
  std::vector<double> values = {};                 // one per category; NaN: no bar
  std::vector<double> lower = {}, upper = {};      // as for LineSeries
  std::optional<double> reference = std::nullopt;  // a dashed line at this value
};

// Horizontal bars, so that long category names stay readable; the axis begins at 0.
struct BarChart {
  std::string description;
  std::string value_label;
  std::vector<std::string> categories;  // from top to bottom
  std::vector<BarSeries> series;
  std::optional<double> ceiling;  // a value no bar can pass
  int decimals = 1;               // of the values beside the bars
};
// Throws basin::Error where a series has not one value per category.
std::string bar_chart(const BarChart& chart);

struct HeatMap {
  std::string description;
  std::string value_label;
  std::vector<std::string> columns, rows;
  std::vector<std::vector<double>> values;  // values[row][column]; NaN: an empty cell
  int decimals = 2;
};
// Throws basin::Error where `values` is not rows x columns.
std::string heat_map(const HeatMap& map);

// Values over two numeric axes.
struct MapPanel {
  std::string name;
  std::vector<double> x, y;                 // where the columns and rows stand, ascending
  std::vector<std::vector<double>> values;  // values[row][column]; NaN: an empty cell
};

// Up to a few panels with one colour scale, two in a row. y is a size without sign, such as that of
// symmetric noise: each panel also shows its mirror image below 0, as the paper's Figure 6 does.
struct PanelMap {
  std::string description;
  std::string value_label, x_label, y_label;
  std::vector<MapPanel> panels;
  int decimals = 2;  // of the values
};
// Throws basin::Error where x or y do not ascend or `values` is not rows x columns.
std::string panel_map(const PanelMap& map);

}  // namespace basin::report
