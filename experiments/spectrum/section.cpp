// Singular values of the weights of P, P-T, RI-T and RI. Paper, appendix.
#include <fmt/format.h>

#include <algorithm>
#include <functional>

#include "experiments/report/measures.h"

namespace basin::report {
namespace {

constexpr Kind kNetworks[] = {{kFinetune, "P-T", kFinetuneStyle},
                              {kRandinit, "RI-T", kRandinitStyle},
                              {"pretrained", "P", kFourthStyle},
                              {"init", "RI", 4}};
constexpr const char* kAll = "all";  // the pooled values of the whole network

// The values of the whole network, descending, by network.
struct Spectra {
  std::string csv;
  std::map<std::string, std::vector<double>> values;
};

struct SpectrumSummary {
  double spectral_norm, frobenius_norm, stable_rank, effective_rank;
};

struct SpectrumSummaries {
  std::string csv;
  std::vector<std::string> modules;                                       // in file order
  std::map<std::pair<std::string, std::string>, SpectrumSummary> values;  // by network and module
};

Spectra read_spectra(const AnalysisTable& csv) {
  Spectra spectra{csv.file, {}};
  for (std::size_t row = 0; row < csv.table.row_count(); ++row) {
    const double value = csv.number(row, "value");
    if (csv.table.text(row, "module") == kAll) {
      spectra.values[csv.table.text(row, "network")].push_back(value);
    }
  }
  for (auto& [network, values] : spectra.values) {
    std::sort(values.begin(), values.end(), std::greater<>());
  }
  return spectra;
}

SpectrumSummaries read_summaries(const AnalysisTable& csv) {
  SpectrumSummaries summaries{csv.file, {}, {}};
  for (std::size_t row = 0; row < csv.table.row_count(); ++row) {
    const std::string& module = csv.table.text(row, "module");
    summaries.values[{csv.table.text(row, "network"), module}] = {
        csv.number(row, "spectral_norm"), csv.number(row, "frobenius_norm"),
        csv.number(row, "stable_rank"), csv.number(row, "effective_rank")};
    if (module != kAll) remember(summaries.modules, module);
  }
  return summaries;
}

// The sorted values of the whole network over their rank; at most 60 points of each.
std::optional<Figure> spectrum_figure(const std::string& target, const Spectra& spectra) {
  LineChart chart =
      loss_chart("Singular values of the whole network on " + target,
                 "Rank of the value, from the largest (%)", target + ": Singular value");
  for (const Kind& kind : kNetworks) {
    const auto found = spectra.values.find(kind.kind);
    if (found == spectra.values.end()) continue;
    const std::vector<double>& values = found->second;
    LineSeries series{kind.name, kind.style};
    const std::size_t points = std::min<std::size_t>(60, values.size());
    const double last = std::max(1.0, static_cast<double>(values.size() - 1));
    for (std::size_t i = 0; i < points; ++i) {
      const std::size_t at = points == 1 ? 0 : i * (values.size() - 1) / (points - 1);
      series.x.push_back(100 * static_cast<double>(at) / last);
      series.y.push_back(values[at]);
    }
    add_series(chart, std::move(series));
  }
  if (chart.series.empty()) return std::nullopt;
  return Figure{line_chart(chart),
                target + ": singular values of all weights, largest first.",
                {{"spectrum.csv", spectra.csv}}};
}

Figure rank_map(const std::string& target, const SpectrumSummaries& summaries) {
  HeatMap map =
      module_map("Effective rank per module on " + target, target + ": effective rank per module",
                 summaries.modules, kNetworks, [&](const std::string& module, const Kind& kind) {
                   const auto found = summaries.values.find({kind.kind, module});
                   return found == summaries.values.end() ? kMissing : found->second.effective_rank;
                 });
  map.decimals = 1;
  return {heat_map(map),
          target + ": effective rank, e to the entropy of the values divided by their sum.",
          {{"summary.csv", summaries.csv}}};
}

}  // namespace

void write_spectrum(Results& results, Section& section) {
  section.lead("Question", "How do the singular values of the weights differ?");
  section.lead(
      "Paper",
      "The appendix compares the spectra, but its figures could not be obtained. Expected, "
      "with low confidence: RI-T has more of its spectrum at small values than P-T and P, "
      "and P-T is near P. So the measurements are shown without a verdict.");
  const auto spectra =
      read_analyses<Spectra>(results, "spectrum", "spectrum.csv", kPerTarget, read_spectra);
  const auto summaries = read_analyses<SpectrumSummaries>(results, "spectrum", "summary.csv",
                                                          kPerTarget, read_summaries);
  if (spectra.empty() && summaries.empty()) {
    section.not_run("Weight spectra.");
    return;
  }
  section.lead("Run here", results.source_model +
                               "; every convolution as a matrix of output channels by the rest, fc "
                               "as it is; the values of a module, or of the network, pooled.");
  Table table{
      "The whole network. Spectral norm: the largest singular value; stable rank: the squared "
      "Frobenius norm over the squared spectral norm; effective rank: e to the entropy of the "
      "values divided by their sum.",
      {"Target and network", "Spectral norm", "Frobenius norm", "Stable rank", "Effective rank"}};
  std::vector<Figure> figures;
  for (const Target& target : results.targets) {
    const Spectra* all = find(spectra, target.name, "");
    const SpectrumSummaries* summary = find(summaries, target.name, "");
    if (all == nullptr && summary == nullptr) {
      section.not_run("Weight spectra on " + target.name + ".");
    }
    if (all != nullptr) {
      if (const auto figure = spectrum_figure(target.name, *all)) figures.push_back(*figure);
    }
    if (summary == nullptr) continue;
    for (const Kind& kind : kNetworks) {
      const auto found = summary->values.find({kind.kind, kAll});
      if (found == summary->values.end()) continue;
      const SpectrumSummary& s = found->second;
      table.rows.push_back(
          {fmt::format("{}, {}", target.name, kind.name), fmt::format("{:.3f}", s.spectral_norm),
           fmt::format("{:.3f}", s.frobenius_norm), fmt::format("{:.2f}", s.stable_rank),
           fmt::format("{:.1f}", s.effective_rank)});
    }
    if (!summary->modules.empty()) figures.push_back(rank_map(target.name, *summary));
  }
  section.table(table);
  section.figures(figures);
}

}  // namespace basin::report
