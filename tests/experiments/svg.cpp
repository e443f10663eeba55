// Charts: well-formed markup, the numbers they were given, and nothing outside the drawing.
#include "experiments/svg.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "kernels/check.h"
#include "tests/experiments/xml_check.h"

using namespace basin;

namespace {

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

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
    CHECK(xml_error(svg) == "");
    CHECK(contains(svg, "viewBox="));
    CHECK(contains(svg, "P-T &lt;1&gt;"));
    CHECK(contains(svg, "RI-T &amp; co"));
    CHECK(contains(svg, "Epoch 3: 71.25 (70.00 to 72.00)"));
    CHECK(contains(svg, "Epoch 2: 50.00<"));
    CHECK(!contains(svg, "nan"));
    CHECK(!contains(svg, "inf"));
    CHECK(contains(svg, ">20</text>"));  // a tick at a round number
    CHECK(contains(svg, "<polygon") == (spread == Spread::kBand));
  }
}

TEST_CASE("a line is interrupted at a missing value") {
  LineChart chart = sample_chart();
  chart.series = {chart.series[1]};
  const std::string svg = line_chart(chart);
  const std::size_t path = svg.find("<path d=\"M");
  REQUIRE(path != std::string::npos);
  const std::string drawn = svg.substr(path + 9, svg.find('"', path + 9) - path - 9);
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
  LineChart empty;
  CHECK(contains(line_chart(empty), "no values to draw"));
  CHECK(contains(bar_chart({}), "no values to draw"));
  CHECK(contains(heat_map({}), "no values to draw"));
  LineChart point;
  point.series = {{"one", 0, {4}, {0.5}, {}, {}}};
  const std::string svg = line_chart(point);
  CHECK(xml_error(svg) == "");
  CHECK(!contains(svg, "nan"));
  LineChart flat;
  flat.series = {{"flat", 0, {0, 1}, {0, 0}, {}, {}}};
  CHECK(xml_error(line_chart(flat)) == "");
  for (const double scale : {1e-9, 1e9}) {
    LineChart scaled;
    scaled.series = {{"s", 0, {0, scale}, {scale, 3 * scale}, {}, {}}};
    CHECK(xml_error(line_chart(scaled)) == "");
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
  CHECK(xml_error(svg) == "");
  CHECK(contains(svg, "layer1.0 &amp; more"));
  CHECK(contains(svg, "conv1: 80.00 (78.00 to 82.00)"));
  CHECK(contains(svg, ">40.0</text>"));
  CHECK(!contains(svg, "nan"));
  std::vector<double> widths;  // of the bars, which alone have a title
  for (std::size_t at = svg.find("<rect"); at != std::string::npos;
       at = svg.find("<rect", at + 1)) {
    const std::string element = svg.substr(at, svg.find('>', at) - at + 1);
    if (svg.compare(at + element.size(), 7, "<title>") != 0) continue;
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
  CHECK(xml_error(svg) == "");
  CHECK(contains(svg, "conv1 \u00b7 2 RI-T: 1.50"));
  CHECK(contains(svg, ">0.75</text>"));
  CHECK(!contains(svg, "fc \u00b7 2 RI-T"));
  CHECK(!contains(svg, "nan"));
}
