// Charts: well-formed markup, the numbers they were given, and nothing outside the drawing.
#include "experiments/report/svg.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "kernels/base/check.h"
#include "tests/experiments/report/xml_check.h"
#include "tests/support/errors.h"

using namespace basin;
using namespace basin::report;
using basin::test::contains;

namespace {

const double kNan = std::numeric_limits<double>::quiet_NaN();

LineChart sample_chart() {
  LineChart chart;
  chart.description = "a <sample> & \"quotes\"";
  chart.x_label = "Epoch";
  chart.y_label = "Accuracy (%)";
  chart.integer_x = true;
  chart.series = {
      {"P-T <1>", 0, {0, 1, 2, 3}, {10, 60, 70, 71.25}, {8, 55, 66, 70}, {12, 65, 74, 72}},
      {"RI-T & co", 1, {0, 1, 2, 3}, {10, kNan, 50, 55}, {}, {}}};
  return chart;
}

// CHECKs that a chart is well-formed, has no number that is none, and holds all of `parts`.
void check_chart(const std::string& svg, const std::vector<std::string>& parts = {}) {
  CHECK(xml_error(svg) == "");
  CHECK(!contains(svg, "nan"));
  for (const std::string& part : parts) {
    CAPTURE(part);
    CHECK(contains(svg, part));
  }
}

}  // namespace

TEST_CASE("the markup check itself refuses what is broken") {
  CHECK(xml_error("<a b=\"c\"><d/>text &amp; more</a>").empty());
  for (const char* bad : {"<a>", "<a></b>", "<a b=c></a>", "<a b=\"c></a>", "<a>&nope</a>",
                          "<a b=\"1\" b=\"2\"/>", "<a/><b/>", "<a><</a>", ""}) {
    CAPTURE(bad);
    CHECK(!xml_error(bad).empty());
  }
}

TEST_CASE("a line chart is well-formed and holds its values") {
  for (const Spread spread : {Spread::kBand, Spread::kErrorBars}) {
    LineChart chart = sample_chart();
    chart.spread = spread;
    const std::string svg = line_chart(chart);
    check_chart(svg,
                {"viewBox=", "P-T &lt;1&gt;", "RI-T &amp; co", "Epoch 3: 71.25 (70.00 to 72.00)",
                 "Epoch 2: 50.00<", ">20</text>"});  // a tick at a round number
    CHECK(!contains(svg, "inf"));
    CHECK(contains(svg, "<polygon") == (spread == Spread::kBand));
  }
}

TEST_CASE("a line is interrupted at a missing value") {
  LineChart chart = sample_chart();
  chart.series = {chart.series[1]};
  const std::vector<std::string> paths = between(line_chart(chart), "<path d=\"", "\"");
  REQUIRE(!paths.empty());
  const std::string& drawn = paths[0];
  CHECK(std::count(drawn.begin(), drawn.end(), 'M') == 2);
  CHECK(std::count(drawn.begin(), drawn.end(), 'L') == 1);
}

TEST_CASE("an interval past the ceiling does not stretch the axis") {
  LineChart chart = sample_chart();
  chart.series[0].upper = {500, 500, 500, 500};
  chart.series[0].lower = {-500, -500, -500, -500};
  chart.y_floor = 0;
  chart.y_ceiling = 100;
  const std::string svg = line_chart(chart);
  CHECK(contains(svg, ">100</text>"));
  CHECK(contains(svg, ">0</text>"));
  CHECK(!contains(svg, ">500</text>"));
  CHECK(!contains(svg, ">200</text>"));
}

TEST_CASE("charts of nothing, one point and equal values") {
  for (const std::string& svg : {line_chart({}), bar_chart({}), heat_map({}), panel_map({})}) {
    CHECK(contains(svg, "no values to draw"));
  }
  LineChart chart;
  const std::pair<std::vector<double>, std::vector<double>> points[] = {
      {{4}, {0.5}}, {{0, 1}, {0, 0}}, {{0, 1e-9}, {1e-9, 3e-9}}, {{0, 1e9}, {1e9, 3e9}}};
  for (const auto& [x, y] : points) {
    chart.series = {{"s", 0, x, y, {}, {}}};
    check_chart(line_chart(chart));
  }
}

TEST_CASE("series of unequal length are refused") {
  LineChart chart = sample_chart();
  chart.series[0].lower.pop_back();
  CHECK_THROWS_AS(line_chart(chart), Error);
  BarChart bars;
  bars.categories = {"a", "b"};
  bars.series = {{"s", 0, {1}, {}, {}, {}}};
  CHECK_THROWS_AS(bar_chart(bars), Error);
  HeatMap map;
  map.rows = {"r"};
  map.columns = {"c", "d"};
  map.values = {{1}};
  CHECK_THROWS_AS(heat_map(map), Error);
}

TEST_CASE("a bar chart holds its values, and bar lengths are proportional to them") {
  BarChart chart;
  chart.description = "bars";
  chart.value_label = "Accuracy (%)";
  chart.categories = {"conv1", "layer1.0 & more"};
  chart.series = {{"P-T", 0, {80, 40}, {78, kNan}, {82, kNan}, 81.0},
                  {"RI-T", 1, {kNan, 20}, {}, {}, {}}};
  const std::string svg = bar_chart(chart);
  check_chart(svg, {"layer1.0 &amp; more", "conv1: 80.00 (78.00 to 82.00)", ">40.0</text>"});
  std::vector<double> widths;  // of the bars, which alone have a title
  for (const std::string& element : between(svg, "<rect", "<")) {
    if (!element.ends_with("\">")) continue;
    widths.push_back(std::stod(element.substr(element.find("width=\"") + 7)));
  }
  REQUIRE(widths.size() == 3);
  CHECK(widths[0] == doctest::Approx(2 * widths[1]).epsilon(0.01));
  CHECK(widths[1] == doctest::Approx(2 * widths[2]).epsilon(0.01));
}

TEST_CASE("a heat map holds its values and leaves missing cells empty") {
  HeatMap map;
  map.description = "map";
  map.value_label = "distance";
  map.columns = {"2 P-T", "2 RI-T"};
  map.rows = {"conv1", "fc"};
  map.values = {{0.25, 1.5}, {0.75, kNan}};
  const std::string svg = heat_map(map);
  check_chart(svg, {"conv1 \u00b7 2 RI-T: 1.50", ">0.75</text>"});
  CHECK(!contains(svg, "fc \u00b7 2 RI-T"));
}

TEST_CASE("a line chart over categories names them") {
  LineChart chart;
  chart.x_label = "Block size";
  chart.x_categories = {"pixels", "4 & 4", "none"};
  chart.series = {{"P-T", 0, {0, 1, 2}, {10, 20, 30}, {}, {}}, {"RI-T", 1, {0, 2}, {5, 8}, {}, {}}};
  check_chart(line_chart(chart),
              {">pixels</text>", ">4 &amp; 4</text>", "RI-T \u00b7 Block size none: 8.00"});
  for (const double x : {-1.0, 0.5, 3.0}) {
    chart.series[1].x[1] = x;
    CAPTURE(x);
    CHECK_THROWS_AS(line_chart(chart), Error);
  }
}

TEST_CASE("a panel map mirrors each cell and stays inside the drawing") {
  PanelMap map;
  map.description = "criticality";
  map.value_label = "Training accuracy (%)";
  map.x_label = "Distance";
  map.y_label = "noise";
  map.panels = {{"P-T, direct", {0, 0.25, 0.5}, {0, 0.1}, {{90, 91, 92}, {50, kNan, 52}}},
                {"RI-T", {0, 4, 8}, {0.2, 0.4}, {{10, 20, 30}, {10, 15, 20}}}};
  const std::string svg = panel_map(map);
  // Also the mirrored half of the axis, and the second panel's own axis.
  check_chart(
      svg, {"P-T, direct \u00b7 Distance 0.5, noise 0.1: 52.00", ">\u22120.1</text>", ">5</text>"});
  const std::vector<std::string> cells = between(svg, "<path d=\"", "\"");
  REQUIRE(cells.size() == 11);  // 12, less the missing one
  // Each is two boxes, one above the other and as far from the middle of its panel.
  const auto box = [](const std::string& path, std::size_t from) {
    double x = 0, y = 0, width = 0, height = 0;
    REQUIRE(std::sscanf(path.c_str() + from, "M%lf %lfh%lfv%lf", &x, &y, &width, &height) == 4);
    CHECK(width > 0);
    CHECK(height > 0);
    CHECK(x >= 0);
    CHECK(x + width <= 420);
    return std::pair(y, height);
  };
  std::vector<double> middles;
  for (const std::string& cell : cells) {
    const auto [top, height] = box(cell, 0);
    const auto [mirrored, same] = box(cell, cell.rfind('M'));
    CHECK(height == same);
    CHECK(top + height <= mirrored + 0.11);
    middles.push_back((top + mirrored + height) / 2);
  }
  for (const double middle : middles) CHECK(middle == doctest::Approx(middles[0]).epsilon(0.001));

  map.panels[0].x = {0, 0, 0.5};
  CHECK_THROWS_AS(panel_map(map), Error);
  map.panels[0].x = {0, 0.25};
  CHECK_THROWS_AS(panel_map(map), Error);
  map.panels[0].x = {0, 0.25, 0.5};
  map.panels[0].y = {-0.1, 0.1};
  CHECK_THROWS_AS(panel_map(map), Error);
}
