// Singular values of the weights of P, P-T, RI-T and RI. Paper, appendix.
#include <fmt/format.h>

#include <algorithm>
#include <functional>

#include "experiments/report/measures.h"
#include "experiments/report/sections.h"

namespace basin::report {
namespace {

struct NetworkKind {
  const char* network;
  const char* name;
  int style;
};
constexpr NetworkKind kNetworks[] = {
    {"finetune", "P-T", 0}, {"randinit", "RI-T", 1}, {"pretrained", "P", 3}, {"init", "RI", 4}};
constexpr const char* kAll = "all";  // the pooled values of the whole network

struct SpectrumSummary {
  double spectral_norm, frobenius_norm, stable_rank, effective_rank;
};

struct Spectra {
  std::string csv, summary_csv;
  std::map<std::pair<std::string, std::string>, std::vector<double>> values;  // descending
  std::map<std::pair<std::string, std::string>, SpectrumSummary>
      summaries;                     // by network and module
  std::vector<std::string> modules;  // in file order, without "all"
};

void read_values(const Folder& folder, Spectra& spectra) {
  const CsvTable table = folder.table(spectra.csv);
  for (std::size_t row = 0; row < table.row_count(); ++row) {
    spectra.values[{table.text(row, "network"), table.text(row, "module")}].push_back(
        required(table, row, "value", spectra.csv));
  }
  for (auto& [key, values] : spectra.values) {
    std::sort(values.begin(), values.end(), std::greater<>());
  }
}

void read_summaries(const Folder& folder, Spectra& spectra) {
  const std::string& file = spectra.summary_csv;
  const CsvTable table = folder.table(file);
  for (std::size_t row = 0; row < table.row_count(); ++row) {
    const std::string& module = table.text(row, "module");
    spectra.summaries[{table.text(row, "network"), module}] = {
        required(table, row, "spectral_norm", file), required(table, row, "frobenius_norm", file),
        required(table, row, "stable_rank", file), required(table, row, "effective_rank", file)};
    const bool known =
        std::find(spectra.modules.begin(), spectra.modules.end(), module) != spectra.modules.end();
    if (!known && module != kAll) spectra.modules.push_back(module);
  }
}

std::optional<Spectra> find_spectra(Folder& folder, const std::string& target) {
  const std::string analysis = "spectrum-" + target;
  Spectra spectra;
  bool any = false;
  if (const auto file = folder.analysis_file(analysis, "spectrum.csv")) {
    spectra.csv = *file;
    any = folder.attempt(*file, [&] { read_values(folder, spectra); });
    if (!any) spectra.values.clear();
  }
  if (const auto file = folder.analysis_file(analysis, "summary.csv")) {
    spectra.summary_csv = *file;
    any = folder.attempt(*file, [&] { read_summaries(folder, spectra); }) || any;
  }
  if (!any) return std::nullopt;
  return spectra;
}

// The sorted values of the whole network over their rank; at most 60 points of each.
std::optional<Figure> spectrum_figure(const std::string& target, const Spectra& spectra) {
  LineChart chart;
  chart.description = "Singular values of the whole network on " + target;
  chart.x_label = "Rank of the value, from the largest (%)";
  chart.y_label = target + ": Singular value";
  chart.y_floor = 0;
  chart.decimals = 3;
  for (const NetworkKind& kind : kNetworks) {
    const auto found = spectra.values.find({kind.network, kAll});
    if (found == spectra.values.end()) continue;
    const std::vector<double>& values = found->second;
    LineSeries series{kind.name, kind.style, {}, {}, {}, {}};
    constexpr std::size_t kPoints = 60;
    const std::size_t points = std::min(kPoints, values.size());
    for (std::size_t i = 0; i < points; ++i) {
      const std::size_t at = points == 1 ? 0 : i * (values.size() - 1) / (points - 1);
      series.x.push_back(values.size() == 1 ? 0
                                            : 100 * static_cast<double>(at) /
                                                  static_cast<double>(values.size() - 1));
      series.y.push_back(values[at]);
    }
    add_series(chart, std::move(series));
  }
  if (chart.series.empty()) return std::nullopt;
  return Figure{line_chart(chart),
                target + ": singular values of all weights, largest first.",
                {{"spectrum.csv", spectra.csv}}};
}

Figure rank_map(const std::string& target, const Spectra& spectra) {
  HeatMap map;
  map.description = "Effective rank per module on " + target;
  map.value_label = target + ": effective rank per module";
  map.rows = spectra.modules;
  map.decimals = 1;
  map.values.resize(map.rows.size());
  for (const NetworkKind& kind : kNetworks) {
    map.columns.push_back(kind.name);
    for (std::size_t m = 0; m < map.rows.size(); ++m) {
      const auto found = spectra.summaries.find({kind.network, map.rows[m]});
      map.values[m].push_back(found == spectra.summaries.end() ? kMissing
                                                               : found->second.effective_rank);
    }
  }
  return {heat_map(map),
          target + ": effective rank, e to the entropy of the values divided by their sum.",
          {{"summary.csv", spectra.summary_csv}}};
}

}  // namespace

void write_spectrum(Results& results, Section& section) {
  section.lead("Question", "How do the singular values of the weights differ?");
  section.lead(
      "Paper",
      "The appendix compares the spectra, but its figures could not be obtained. Expected, "
      "with low confidence: RI-T has more of its spectrum at small values than P-T and P, "
      "and P-T is near P. So the measurements are shown without a verdict.");
  std::map<std::string, Spectra> all;
  for (const Target& target : results.targets) {
    if (auto found = find_spectra(results.folder, target.name)) {
      all.emplace(target.name, std::move(*found));
    }
  }
  if (all.empty()) {
    section.not_run("Weight spectra.");
    return;
  }
  section.lead(
      "Run here",
      fmt::format("{}; every convolution as a matrix of output channels by the rest, fc as "
                  "it is; the values of a module, or of the network, pooled.",
                  results.source_model));
  Table table;
  table.caption =
      "The whole network. Spectral norm: the largest singular value; stable rank: the squared "
      "Frobenius norm over the squared spectral norm; effective rank: e to the entropy of the "
      "values divided by their sum.";
  table.header = {"Target and network", "Spectral norm", "Frobenius norm", "Stable rank",
                  "Effective rank"};
  std::vector<Figure> figures;
  for (const Target& target : results.targets) {
    const auto found = all.find(target.name);
    if (found == all.end()) {
      section.not_run("Weight spectra on " + target.name + ".");
      continue;
    }
    const Spectra& spectra = found->second;
    for (const NetworkKind& kind : kNetworks) {
      const auto summary = spectra.summaries.find({kind.network, kAll});
      if (summary == spectra.summaries.end()) continue;
      const SpectrumSummary& s = summary->second;
      table.rows.push_back({{fmt::format("{}, {}", target.name, kind.name), ""},
                            {fmt::format("{:.3f}", s.spectral_norm), ""},
                            {fmt::format("{:.3f}", s.frobenius_norm), ""},
                            {fmt::format("{:.2f}", s.stable_rank), ""},
                            {fmt::format("{:.1f}", s.effective_rank), ""}});
    }
    if (const auto figure = spectrum_figure(target.name, spectra)) figures.push_back(*figure);
    if (!spectra.modules.empty()) figures.push_back(rank_map(target.name, spectra));
  }
  section.table(table);
  section.figures(figures);
}

}  // namespace basin::report
