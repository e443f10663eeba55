// Are the features of two networks alike? Paper, section 3.2, Table 1.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "experiments/report/claims_networks.h"
#include "experiments/report/measures.h"
#include "experiments/report/sections.h"

namespace basin::report {
namespace {

constexpr PairKind kCkaPairs[] = {{"finetune-pretrained", "P-T & P", kFourthStyle},
                                  {"finetune-finetune", "P-T & P-T", kFinetuneStyle},
                                  {"randinit-finetune", "P-T & RI-T", kMixedStyle},
                                  {"randinit-randinit", "RI-T & RI-T", kRandinitStyle}};

struct Similarity {
  std::string csv;
  std::vector<ModuleValue> cka, aligned;
  std::optional<double> images;
};

std::optional<Similarity> find_similarity(Folder& folder, const std::string& target,
                                          const std::string& pair) {
  std::optional<Similarity> found;
  for (const std::string& name : {pair, reversed_pair(pair)}) {
    const std::string analysis = "cka-" + target + "-" + name;
    const auto file = folder.analysis_file(analysis, "cka.csv");
    if (!file || found) continue;
    folder.attempt(*file, [&] {
      const CsvTable table = folder.table(*file);
      Similarity similarity{*file, {}, {}, {}};
      for (std::size_t row = 0; row < table.row_count(); ++row) {
        const std::string& module = table.text(row, "module");
        similarity.cka.push_back({module, required(table, row, "cka", *file)});
        // The aligned measure needs equal numbers of channels and may be empty.
        similarity.aligned.push_back({module, table.number(row, "aligned_cka").value_or(kMissing)});
      }
      found = std::move(similarity);
    });
    if (found) found->images = folder.result_number(analysis, "images");
  }
  return found;
}

using Similarities = std::map<std::string, Similarity>;  // by pair

std::string paper_row(const char* pair) {
  std::string text;
  const std::array<double, 5> values = paper_cka(pair).value();
  for (const double value : values) {
    text += fmt::format("{}{:.2f}", text.empty() ? "" : ", ", value);
  }
  return text;
}

// One chart of one measure over the modules.
Figure chart_of(const std::string& target, const Similarities& all, bool aligned) {
  LineChart chart;
  const char* what = aligned ? "Channel-aligned similarity" : "CKA between images";
  chart.description = fmt::format("{} by stage on {}", what, target);
  chart.x_label = "Stage";
  chart.y_label = fmt::format("{}: {}", target, what);
  chart.decimals = 3;
  chart.y_ceiling = 1;
  std::vector<Link> links;
  for (const PairKind& kind : kCkaPairs) {
    const auto found = all.find(kind.pair);
    if (found == all.end()) continue;
    LineSeries series{kind.name, kind.style, {}, {}, {}, {}};
    for (const ModuleValue& value : aligned ? found->second.aligned : found->second.cka) {
      auto place = std::find(chart.x_categories.begin(), chart.x_categories.end(), value.module);
      if (place == chart.x_categories.end()) {
        place = chart.x_categories.insert(chart.x_categories.end(), value.module);
      }
      series.x.push_back(static_cast<double>(place - chart.x_categories.begin()));
      series.y.push_back(value.value);
    }
    add_series(chart, std::move(series));
    links.push_back({kind.name, found->second.csv});
  }
  // The axis begins at 0 unless an estimate lies below it.
  bool negative = false;
  for (const LineSeries& series : chart.series) {
    for (const double y : series.y) negative = negative || y < 0;
  }
  if (!negative) chart.y_floor = 0;
  return {line_chart(chart),
          aligned ? target +
                        ": similarity of channel to channel, which no re-ordering of channels "
                        "leaves unchanged."
                  : target + ": linear CKA by stage; the verdicts rest on it.",
          links};
}

}  // namespace

void write_cka(Results& results, Section& section) {
  section.lead("Question", "Are the features of two networks alike, stage by stage?");
  section.lead("Paper",
               "Two P-T have similar features, less so with depth, and P-T resembles P up to layer "
               "3; pairs with an RI-T are near 0 (Table 1, CheXpert).");
  std::map<std::string, Similarities> all;
  std::vector<std::string> images;
  for (const Target& target : results.targets) {
    for (const PairKind& kind : kCkaPairs) {
      if (auto found = find_similarity(results.folder, target.name, kind.pair)) {
        if (found->images && std::string_view(kind.pair) == "finetune-finetune") {
          images.push_back(fmt::format("{} of {}", *found->images, target.name));
        }
        all[target.name].emplace(kind.pair, std::move(*found));
      }
    }
  }
  if (all.empty()) {
    section.not_run("Feature similarity.");
  } else {
    section.lead(
        "Run here",
        fmt::format("{}; linear CKA, unbiased, over the outputs of the stem and of each "
                    "stage on test images{}.",
                    results.source_model, images.empty() ? "" : " (" + enumerate(images) + ")"));
    section.note(
        "Table 1\u2019s values near 0 do not fit CKA between images, which is well above 0 for any "
        "two trained networks: the paper may have computed something else. So compare the order "
        "of the pairs, not the values. The second measure, with images and channels exchanged, "
        "depends on the order of the channels and is lower for networks that began at different "
        "random weights.");
  }
  const auto cka = [&](const Target& target, const char* pair) {
    const auto found = all.find(target.name);
    if (found == all.end() || !found->second.contains(pair)) return std::vector<ModuleValue>();
    return found->second.at(pair).cka;
  };
  section.claim(target_claim(
      results, "The features of two P-T are more alike than those of pairs with an RI-T",
      kFeaturesRule,
      [&](const Target& target) {
        return judge_features(cka(target, "finetune-finetune"), cka(target, "randinit-finetune"),
                              cka(target, "randinit-randinit"));
      },
      [](const Target& target) {
        const PaperNumbers* p = paper_numbers(target.name);
        return p && p->is_auc
                   ? "P-T & P-T " + paper_row("finetune-finetune") + "; largest with RI-T 0.08"
                   : std::string();
      }));
  section.claim(target_claim(
      results, "P-T keeps features of P: more alike than pairs with an RI-T, but in the last stage",
      kPretrainedFeaturesRule,
      [&](const Target& target) {
        return judge_pretrained_features(cka(target, "finetune-pretrained"),
                                         cka(target, "randinit-finetune"),
                                         cka(target, "randinit-randinit"));
      },
      [](const Target& target) {
        const PaperNumbers* p = paper_numbers(target.name);
        return p && p->is_auc ? "P-T & P " + paper_row("finetune-pretrained") : std::string();
      }));

  std::vector<Figure> figures;
  for (const Target& target : results.targets) {
    const auto found = all.find(target.name);
    if (found == all.end()) {
      if (!all.empty()) section.not_run("Feature similarity on " + target.name + ".");
      continue;
    }
    Table table;
    table.caption = fmt::format(
        "{}: CKA between images and, below it, the channel-aligned "
        "similarity.",
        target.name);
    table.header = {"Pair"};
    for (const ModuleValue& value : found->second.begin()->second.cka) {
      table.header.push_back(value.module);
    }
    for (const PairKind& kind : kCkaPairs) {
      std::vector<TableCell> row = {{kind.name, ""}};
      const auto measured = found->second.find(kind.pair);
      for (std::size_t m = 1; m < table.header.size(); ++m) {
        TableCell cell{"not run", ""};
        if (measured != found->second.end()) {
          const Similarity& s = measured->second;
          for (std::size_t i = 0; i < s.cka.size(); ++i) {
            if (s.cka[i].module != table.header[m]) continue;
            cell.text = display(s.cka[i].value, 3);
            if (!std::isnan(s.aligned[i].value)) {
              cell.note = "aligned " + display(s.aligned[i].value, 3);
            }
          }
        }
        row.push_back(cell);
      }
      table.rows.push_back(std::move(row));
    }
    section.table(table);
    figures.push_back(chart_of(target.name, found->second, false));
    figures.push_back(chart_of(target.name, found->second, true));
  }
  section.figures(figures);
  Table paper;
  paper.caption = "The paper\u2019s Table 1, target CheXpert.";
  paper.header = {"Pair", "conv1", "layer1", "layer2", "layer3", "layer4"};
  for (const PairKind& kind : kCkaPairs) {
    std::vector<TableCell> row = {{kind.name, ""}};
    const std::array<double, 5> values = paper_cka(kind.pair).value();
    for (const double value : values) row.push_back({fmt::format("{:.4f}", value), ""});
    paper.rows.push_back(std::move(row));
  }
  section.table(paper);
}

}  // namespace basin::report
