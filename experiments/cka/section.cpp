// Are the features of two networks alike? Paper, section 3.2, Table 1.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "experiments/cka/claims.h"
#include "experiments/report/measures.h"

namespace basin::report {
namespace {

constexpr const char* kPretrainedPair = "finetune-pretrained";
constexpr Kind kCkaPairs[] = {{kPretrainedPair, "P-T & P", kFourthStyle},
                              {kFinetunePair, "P-T & P-T", kFinetuneStyle},
                              {kMixedPair, "P-T & RI-T", kMixedStyle},
                              {kRandinitPair, "RI-T & RI-T", kRandinitStyle}};

// Table 1 of the paper, CheXpert, in the order of kCkaPairs: conv1 and the four stages.
constexpr double kTable1[4][5] = {{0.6225, 0.4592, 0.2896, 0.1877, 0.0453},
                                  {0.6710, 0.8230, 0.6052, 0.4089, 0.1628},
                                  {0.0036, 0.0011, 0.0022, 0.0003, 0.0808},
                                  {0.0016, 0.0088, 0.0004, 0.0004, 0.0424}};

constexpr double kCkaMargin = 0.01;

struct Similarity {
  std::string csv;
  std::vector<ModuleValue> cka, aligned;
  std::optional<double> images;
};

Similarity read_similarity(Folder& folder, const AnalysisTable& csv) {
  Similarity similarity{csv.file, {}, {}, {}};
  for (std::size_t row = 0; row < csv.table.row_count(); ++row) {
    const std::string& module = csv.table.text(row, "module");
    similarity.cka.push_back({module, csv.number(row, "cka")});
    // The aligned measure needs equal numbers of channels and may be empty.
    similarity.aligned.push_back({module, csv.table.number(row, "aligned_cka").value_or(kMissing)});
  }
  similarity.images = folder.result_number(csv.analysis, "images");
  return similarity;
}

// Whether `higher` leads both others by more than the margin in its first `count` modules.
Judgement judge_lead(std::span<const ModuleValue> higher, std::size_t count,
                     std::span<const ModuleValue> mixed, std::span<const ModuleValue> randinit) {
  std::size_t compared = 0, leads = 0;
  ModuleValue least{"", 0};
  for (const auto& [module, value] : higher.first(count)) {
    const std::optional<double> a = value_of(mixed, module), b = value_of(randinit, module);
    if (!a || !b || !std::isfinite(value + *a + *b)) continue;
    const double lead = value - std::max(*a, *b);
    if (compared == 0 || lead < least.value) least = {module, lead};
    ++compared;
    leads += lead > kCkaMargin;
  }
  if (compared == 0) return judged_not_run();
  const std::string measured =
      fmt::format("ahead in {} of {} stages; smallest lead {}{:.3f} ({})", leads, compared,
                  least.value < 0 ? "\u2212" : "+", std::abs(least.value), least.module);
  if (leads == compared) return {Verdict::kReproduced, measured};
  return {least.value < -kCkaMargin ? Verdict::kNotReproduced : Verdict::kNotEnough, measured};
}

std::string paper_values(std::size_t pair) {
  std::string text;
  for (const double value : kTable1[pair]) {
    text += fmt::format("{}{:.2f}", text.empty() ? "" : ", ", value);
  }
  return text;
}

}  // namespace

Judgement judge_features(std::span<const ModuleValue> finetune, std::span<const ModuleValue> mixed,
                         std::span<const ModuleValue> randinit) {
  return judge_lead(finetune, finetune.size(), mixed, randinit);
}

Judgement judge_pretrained_features(std::span<const ModuleValue> pretrained,
                                    std::span<const ModuleValue> mixed,
                                    std::span<const ModuleValue> randinit) {
  return judge_lead(pretrained, pretrained.empty() ? 0 : pretrained.size() - 1, mixed, randinit);
}

namespace {

void add_claims(const Results& results, const Measured<Similarity>& all, Section& section) {
  const auto cka = [&](const Target& target, const char* pair) {
    const Similarity* found = find(all, target.name, pair);
    return found ? found->cka : std::vector<ModuleValue>();
  };
  section.claim(target_claim(
      results, "The features of two P-T are more alike than those of pairs with an RI-T",
      fmt::format(
          "Reproduced if the CKA of two P-T lies above that of P-T & RI-T and that of two RI-T by "
          "more than {0} in every stage; not reproduced if it lies below one of them by more than "
          "{0} in some stage; else not enough data. The verdict rests on CKA between images, the "
          "measure the paper names. The channel-aligned similarity shown beside it is nearer to "
          "the paper\u2019s near-zero values, but is lower for any two networks with different "
          "random starts, whatever they learned, so a verdict on it would say little. One pair of "
          "each kind is measured.",
          kCkaMargin),
      [&](const Target& target) {
        return judge_features(cka(target, kFinetunePair), cka(target, kMixedPair),
                              cka(target, kRandinitPair));
      },
      on_chexpert("P-T & P-T " + paper_values(1) + "; largest with RI-T 0.08")));
  section.claim(target_claim(
      results, "P-T keeps features of P: more alike than pairs with an RI-T, but in the last stage",
      "The rule of the claim before for P-T & P in place of two P-T, without the last stage, where "
      "the paper does not find it either (up to layer 3 of its four).",
      [&](const Target& target) {
        return judge_pretrained_features(cka(target, kPretrainedPair), cka(target, kMixedPair),
                                         cka(target, kRandinitPair));
      },
      on_chexpert("P-T & P " + paper_values(0))));
}

// One chart of one measure over the modules.
Figure chart_of(const std::string& target, const std::map<std::string, Similarity>& all,
                bool aligned) {
  LineChart chart;
  const char* what = aligned ? "Channel-aligned similarity" : "CKA between images";
  chart.description = fmt::format("{} by stage on {}", what, target);
  chart.x_label = "Stage";
  chart.y_label = fmt::format("{}: {}", target, what);
  chart.decimals = 3;
  chart.y_ceiling = 1;
  std::vector<Link> links;
  bool negative = false;
  for (const Kind& kind : kCkaPairs) {
    const auto found = all.find(kind.kind);
    if (found == all.end()) continue;
    LineSeries series{kind.name, kind.style};
    for (const auto& [module, value] : aligned ? found->second.aligned : found->second.cka) {
      remember(chart.x_categories, module);
      const auto place = std::find(chart.x_categories.begin(), chart.x_categories.end(), module);
      series.x.push_back(static_cast<double>(place - chart.x_categories.begin()));
      series.y.push_back(value);
      negative = negative || value < 0;
    }
    add_series(chart, std::move(series));
    links.push_back({kind.name, found->second.csv});
  }
  // The axis begins at 0 unless an estimate lies below it.
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
  const auto all = read_analyses<Similarity>(
      results, "cka", "cka.csv", kCkaPairs,
      [&](const AnalysisTable& csv) { return read_similarity(results.folder, csv); });
  if (all.empty()) {
    section.not_run("Feature similarity.");
  } else {
    std::vector<std::string> images;
    for (const Target& target : results.targets) {
      const Similarity* found = find(all, target.name, kFinetunePair);
      if (found && found->images) {
        images.push_back(fmt::format("{} of {}", *found->images, target.name));
      }
    }
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
  add_claims(results, all, section);

  std::vector<Figure> figures;
  for_each_target(
      results, section, all, "Feature similarity", [&](const Target& target, const auto& pairs) {
        Table table{
            target.name + ": CKA between images and, below it, the channel-aligned similarity.",
            {"Pair"}};
        const std::vector<ModuleValue>& stages = pairs.begin()->second.cka;
        for (const ModuleValue& stage : stages) table.header.push_back(stage.module);
        for (const Kind& kind : kCkaPairs) {
          TableRow row = {kind.name};
          const Similarity* similarity = find(all, target.name, kind.kind);
          for (const ModuleValue& stage : stages) {
            TableCell& cell = row.emplace_back("not run");
            if (similarity == nullptr) continue;
            if (const auto value = value_of(similarity->cka, stage.module)) {
              cell.text = display(*value, 3);
            }
            const auto aligned = value_of(similarity->aligned, stage.module);
            if (aligned && !std::isnan(*aligned)) cell.note = "aligned " + display(*aligned, 3);
          }
          table.rows.push_back(std::move(row));
        }
        section.table(table);
        figures.push_back(chart_of(target.name, pairs, false));
        figures.push_back(chart_of(target.name, pairs, true));
      });
  section.figures(figures);
  Table paper{"The paper\u2019s Table 1, target CheXpert.",
              {"Pair", "conv1", "layer1", "layer2", "layer3", "layer4"}};
  for (std::size_t pair = 0; pair < std::size(kCkaPairs); ++pair) {
    TableRow& row = paper.rows.emplace_back(TableRow{kCkaPairs[pair].name});
    for (const double value : kTable1[pair]) row.push_back(fmt::format("{:.4f}", value));
  }
  section.table(paper);
}

}  // namespace basin::report
