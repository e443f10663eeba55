// Heat maps: a small one with a number in each cell, and panels of many cells over two axes.
#include <algorithm>
#include <array>
#include <cmath>
#include <functional>

#include "experiments/report/svg_canvas.h"
#include "kernels/base/check.h"

namespace basin::report {
namespace {

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

constexpr double kKeyTop = 26;

// The colours from `low` to `high`, under the chart's name.
void draw_key(Canvas& canvas, double low, double high, int decimals) {
  constexpr int kSteps = 32;
  constexpr double kKeyWidth = 128;
  const std::string low_label = display(low, decimals);
  const double left = 8 + text_width(low_label) + 6;
  canvas.text(8, kKeyTop + 10, low_label);
  for (int i = 0; i < kSteps; ++i) {
    canvas.add(R"(<rect x="{:.1f}" y="{:.1f}" width="{:.1f}" height="11" fill="{}"/>)",
               left + kKeyWidth * i / kSteps, kKeyTop, kKeyWidth / kSteps + 0.4,
               shade_at((i + 0.5) / kSteps).fill);
  }
  canvas.text(left + kKeyWidth + 6, kKeyTop + 10, display(high, decimals));
}

// The borders of cells whose middles are `centers`: halfway between neighbours, and as far outside
// at both ends.
std::vector<double> cell_borders(const std::vector<double>& centers) {
  if (centers.size() == 1) {
    const double half = centers[0] == 0 ? 0.5 : std::abs(centers[0]) / 2;
    return {centers[0] - half, centers[0] + half};
  }
  std::vector<double> borders;
  borders.push_back(centers[0] - (centers[1] - centers[0]) / 2);
  for (std::size_t i = 1; i < centers.size(); ++i) {
    borders.push_back((centers[i - 1] + centers[i]) / 2);
  }
  borders.push_back(centers.back() + (centers.back() - borders.back()));
  return borders;
}

void check_panel(const MapPanel& panel) {
  for (const std::vector<double>* centers : {&panel.x, &panel.y}) {
    const bool ascends = std::adjacent_find(centers->begin(), centers->end(),
                                            std::greater_equal<>()) == centers->end();
    BASIN_CHECK(!centers->empty() && ascends && std::isfinite(centers->front()) &&
                    std::isfinite(centers->back()),
                "panel map, panel '", panel.name, "': columns and rows must ascend");
  }
  BASIN_CHECK(panel.y.front() >= 0, "panel map, panel '", panel.name, "': y is ", panel.y.front(),
              "; a mirrored axis begins at 0 or above");
  BASIN_CHECK(panel.values.size() == panel.y.size(), "panel map, panel '", panel.name,
              "': ", panel.values.size(), " rows of values for ", panel.y.size(), " places");
  for (const std::vector<double>& row : panel.values) {
    BASIN_CHECK(row.size() == panel.x.size(), "panel map, panel '", panel.name, "': ", row.size(),
                " values in a row for ", panel.x.size(), " places");
  }
}

struct PanelBox {
  double left, top, width, height;
};

void draw_panel(Canvas& canvas, const PanelMap& map, const MapPanel& panel, const PanelBox& box,
                double low, double high, bool name_rows) {
  std::vector<double> columns = cell_borders(panel.x);
  std::vector<double> rows = cell_borders(panel.y);
  rows.front() = std::max(0.0, rows.front());
  Axis x_axis = make_axis(columns.front(), columns.back(), 4, false, false);
  x_axis.pixel_from = box.left;
  x_axis.pixel_to = box.left + box.width;
  Axis y_axis = make_axis(-rows.back(), rows.back(), 5, false, false);
  y_axis.pixel_from = box.top + box.height;
  y_axis.pixel_to = box.top;
  canvas.text(box.left, box.top - 6, panel.name, "start", kInk);
  canvas.add(R"(<g shape-rendering="crispEdges">)");
  for (std::size_t r = 0; r < panel.y.size(); ++r) {
    // The cell, and its mirror image where it does not touch 0 already.
    const double top = y_axis.place(rows[r + 1]);
    const double height = y_axis.place(rows[r]) - top;
    const double mirrored = y_axis.place(-rows[r]);
    for (std::size_t c = 0; c < panel.x.size(); ++c) {
      const double value = panel.values[r][c];
      if (!std::isfinite(value)) continue;
      const double x = x_axis.place(columns[c]);
      const double width = x_axis.place(columns[c + 1]) - x;
      canvas.add(
          R"(<path d="M{:.1f} {:.1f}h{:.2f}v{:.2f}h-{:.2f}zM{:.1f} {:.1f}h{:.2f}v{:.2f}h-{:.2f}z" fill="{}"><title>{}</title></path>)",
          x, top, width, height, width, x, mirrored, width, height, width,
          shade_at((value - low) / (high - low)).fill,
          escape_markup(fmt::format("{} \u00b7 {} {:.4g}, {} {:.4g}: {}", panel.name, map.x_label,
                                    panel.x[c], map.y_label, panel.y[r],
                                    display(value, map.decimals))));
    }
  }
  canvas.add("</g>");
  canvas.add(
      R"(<rect x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}" fill="none" stroke="{}"/>)",
      box.left, box.top, box.width, box.height, kSoftInk);
  for (const double tick : x_axis.ticks()) {
    const double x = x_axis.place(tick);
    canvas.line(x, box.top + box.height, x, box.top + box.height + 4, kSoftInk, 1);
    canvas.text(x, box.top + box.height + 16, x_axis.label(tick), "middle");
  }
  for (const double tick : y_axis.ticks()) {
    const double y = y_axis.place(tick);
    canvas.line(box.left - 4, y, box.left, y, kSoftInk, 1);
    if (name_rows) canvas.text(box.left - 7, y + 4, y_axis.label(tick), "end");
  }
}

}  // namespace

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
  canvas.title(map.value_label);
  draw_key(canvas, low, high, map.decimals);

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

std::string panel_map(const PanelMap& map) {
  Extent extent;
  double row_reach = 0;
  bool same_rows = true;
  for (const MapPanel& panel : map.panels) {
    check_panel(panel);
    for (const std::vector<double>& row : panel.values) {
      for (const double value : row) extent.include(value);
    }
    same_rows = same_rows && (row_reach == 0 || row_reach == panel.y.back());
    row_reach = panel.y.back();
  }
  if (extent.empty()) return empty_chart(map.description);
  const double high = extent.high > extent.low ? extent.high : extent.low + 1;

  Canvas canvas;
  canvas.title(map.value_label);
  draw_key(canvas, extent.low, high, map.decimals);
  canvas.text(kWidth - 8, kKeyTop + 10, "vertical: " + map.y_label, "end");
  constexpr double kLeft = 48, kRight = 12, kHeight = 132, kTop = kKeyTop + 42, kBelow = 46;
  const bool single = map.panels.size() == 1;
  // Panels with rows of their own need room for their numbers.
  const double gap = same_rows ? 26 : kLeft;
  const double width = single ? kWidth - kLeft - kRight : (kWidth - kLeft - kRight - gap) / 2;
  for (std::size_t p = 0; p < map.panels.size(); ++p) {
    const bool right = p % 2 == 1;
    const PanelBox box{kLeft + (right ? width + gap : 0),
                       kTop + (kHeight + kBelow) * static_cast<double>(p / 2), width, kHeight};
    draw_panel(canvas, map, map.panels[p], box, extent.low, high, !right || !same_rows);
  }
  const double bottom =
      kTop + (kHeight + kBelow) * static_cast<double>((map.panels.size() + 1) / 2) - kBelow;
  canvas.text(kLeft + (kWidth - kLeft - kRight) / 2, bottom + 34, map.x_label, "middle", kInk);
  return canvas.finish(bottom + 42, map.description);
}

}  // namespace basin::report
