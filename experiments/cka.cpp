// CKA from Gram matrices of the stages' outputs.
#include "experiments/cka.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>

#include "data/loader.h"
#include "engine/files.h"
#include "engine/linear_algebra.h"
#include "engine/transfer.h"
#include "experiments/analyses.h"
#include "experiments/csv.h"
#include "experiments/model_file.h"
#include "experiments/run_folder.h"

namespace basin {
namespace {

constexpr int64_t kSmallestBatch = 4;

// The means that U-centring takes off a Gram matrix: entry (i, j) becomes k_ij - row[i] - row[j].
std::vector<double> row_terms(const std::vector<double>& k, int64_t n) {
  std::vector<double> terms(static_cast<size_t>(n));
  double total = 0;
  for (int64_t i = 0; i < n; ++i) {
    double sum = 0;
    for (int64_t j = 0; j < n; ++j) {
      if (j != i) sum += k[static_cast<size_t>(i * n + j)];
    }
    terms[static_cast<size_t>(i)] = sum / static_cast<double>(n - 2);
    total += sum;
  }
  for (double& term : terms) term -= total / static_cast<double>(2 * (n - 1) * (n - 2));
  return terms;
}

// What is left of an entry below this is rounding: equal features would seem to vary.
double rounding_of(const std::vector<double>& k) {
  double largest = 0;
  for (const double value : k) largest = std::max(largest, std::abs(value));
  return 1e-12 * largest;
}

double ratio(double ab, double aa, double bb) {
  return aa > 0 && bb > 0 ? ab / (std::sqrt(aa) * std::sqrt(bb))
                          : std::numeric_limits<double>::quiet_NaN();
}

// The module whose output is the output of a stage -> name of the stage.
std::map<std::string, std::string> stage_outputs(const Network& network) {
  std::map<std::string, std::string> last_block;  // stage -> module, later ones replace earlier
  for (const std::string& module : network.state().modules()) {
    if (module != "fc") last_block[module.substr(0, module.find('.'))] = module;
  }
  std::map<std::string, std::string> stages;
  for (const auto& [stage, module] : last_block) stages[module] = stage;
  return stages;
}

}  // namespace

double unbiased_hsic(const std::vector<double>& k, const std::vector<double>& l, int64_t n) {
  BASIN_CHECK(n >= kSmallestBatch, "HSIC_1 is defined for four examples or more, not for ", n);
  BASIN_CHECK(k.size() == static_cast<size_t>(n * n) && l.size() == k.size(), "Gram matrices of ",
              k.size(), " and ", l.size(), " elements; ", n, " examples make ", n * n);
  // The inner product of the U-centred matrices is the paper's expression without its differences
  // of large sums: (I - J) K (I - J) for zero diagonals. Szekely, Rizzo, "Partial distance
  // correlation with methods for dissimilarities" (Annals of Statistics, 2014).
  const std::vector<double> terms_k = row_terms(k, n), terms_l = row_terms(l, n);
  const double rounding_k = rounding_of(k), rounding_l = rounding_of(l);
  double sum = 0;
  for (int64_t i = 0; i < n; ++i) {
    for (int64_t j = 0; j < n; ++j) {
      if (i == j) continue;
      const auto at = static_cast<size_t>(i * n + j), row = static_cast<size_t>(i),
                 column = static_cast<size_t>(j);
      const double centred_k = k[at] - terms_k[row] - terms_k[column];
      const double centred_l = l[at] - terms_l[row] - terms_l[column];
      if (std::abs(centred_k) <= rounding_k || std::abs(centred_l) <= rounding_l) continue;
      sum += centred_k * centred_l;
    }
  }
  return sum / static_cast<double>(n * (n - 3));
}

FeatureGrams feature_grams(Tape& tape, const Tensor& features) {
  const Shape& shape = features.shape();
  return {shape[0], shape[shape.rank() - 1], image_gram(tape, features),
          channel_gram(tape, features)};
}

void FeatureSimilarity::add(const FeatureGrams& a, const FeatureGrams& b) {
  BASIN_CHECK(a.images == b.images, "features of ", a.images, " images are compared with those of ",
              b.images);
  ++batches_;
  hsic_ab_ += unbiased_hsic(a.image, b.image, a.images);
  hsic_aa_ += unbiased_hsic(a.image, a.image, a.images);
  hsic_bb_ += unbiased_hsic(b.image, b.image, b.images);
  channels_a_ = a.channels;
  channels_b_ = b.channels;
  channel_a_.resize(a.channel.size());
  channel_b_.resize(b.channel.size());
  for (size_t i = 0; i < a.channel.size(); ++i) channel_a_[i] += a.channel[i];
  for (size_t i = 0; i < b.channel.size(); ++i) channel_b_[i] += b.channel[i];
}

double FeatureSimilarity::cka() const {
  // The means' common factor 1/batches cancels.
  return ratio(hsic_ab_, hsic_aa_, hsic_bb_);
}

double FeatureSimilarity::aligned_cka() const {
  if (channels_a_ != channels_b_ || channels_a_ < kSmallestBatch) {
    return std::numeric_limits<double>::quiet_NaN();
  }
  return ratio(unbiased_hsic(channel_a_, channel_b_, channels_a_),
               unbiased_hsic(channel_a_, channel_a_, channels_a_),
               unbiased_hsic(channel_b_, channel_b_, channels_a_));
}

CkaResult cka(Network& a, Network& b, const std::shared_ptr<const data::Dataset>& dataset,
              int64_t batch_size, Session& session) {
  const auto outputs_a = stage_outputs(a), outputs_b = stage_outputs(b);
  std::vector<std::string> stages;
  for (const auto& [module, stage] : outputs_a) stages.push_back(stage);
  std::vector<std::string> stages_b;
  for (const auto& [module, stage] : outputs_b) stages_b.push_back(stage);
  BASIN_CHECK(stages == stages_b, "a ", a.options().name, " and a ", b.options().name,
              " have different stages; compare networks of the same layout");
  BASIN_CHECK(batch_size >= kSmallestBatch && dataset->size() >= kSmallestBatch,
              "CKA needs batches of four images or more; batches are of ", batch_size, ", ",
              dataset->name(), " has ", dataset->size());

  // Batches as the files are ordered may hold one class each, and the estimate is wrong then.
  data::Loader loader(dataset,
                      {.batch_size = std::min(batch_size, dataset->size()), .shuffle = true});
  loader.start_epoch(0);
  std::map<std::string, FeatureSimilarity> similarity;
  CkaResult result{{}, 0, 0};
  while (const data::Batch* batch = loader.next()) {
    check_interruption();
    if (session.progress) session.progress->advance(2.0 * static_cast<double>(batch->size));
    if (batch->size < kSmallestBatch) {
      result.dropped = batch->size;
      continue;
    }
    Tape tape(session.stream, session.arena, false);
    const Tensor images =
        tape.empty({batch->size, dataset->height(), dataset->width(), 3}, DType::kF32);
    upload(batch->images, images, session.stream);
    auto grams_of = [&](Network& network, const std::map<std::string, std::string>& outputs) {
      std::map<std::string, FeatureGrams> grams;
      network.forward(
          tape, images, Mode::kEvaluate, [&](const std::string& module, const Tensor& value) {
            const auto found = outputs.find(module);
            if (found != outputs.end()) {
              grams[found->second] = feature_grams(tape, convert(tape, value, DType::kF32));
            }
          });
      return grams;
    };
    const auto grams_a = grams_of(a, outputs_a), grams_b = grams_of(b, outputs_b);
    for (const std::string& stage : stages) {
      similarity[stage].add(grams_a.at(stage), grams_b.at(stage));
    }
    result.images += batch->size;
  }
  for (const std::string& stage : stages) {
    result.stages.push_back({stage, similarity[stage].cka(), similarity[stage].aligned_cka()});
  }
  return result;
}

void run_cka(const CkaOptions& options, Session& session) {
  Settings settings = {{"a", options.a.string()},
                       {"b", options.b.string()},
                       {"model", options.model},
                       {"batch-size", std::to_string(options.batch_size)}};
  add_test_settings(options.data, settings);
  if (run_status(session, options.out, "cka", settings, true) == RunStatus::kDone) {
    session.log.message(options.out.string() + " is done already; nothing was run");
    return;
  }
  const auto a = load_network(options.a, options.model, session);
  const auto b = load_network(options.b, options.model, session);
  const auto test = session.load(options.data).test;
  open_run_folder(session, options.out, "cka", settings, true, false);
  const CkaResult result = cka(*a, *b, test, options.batch_size, session);
  if (result.dropped > 0) {
    session.log.message(concat("the last batch of ", result.dropped,
                               " images was left out: CKA needs four or more"));
  }
  CsvTable table({"module", "cka", "aligned_cka"});
  for (const StageSimilarity& stage : result.stages) {
    table.add_row({stage.module, csv_number(stage.cka), csv_number(stage.aligned_cka)});
  }
  table.write(options.out / "cka.csv");
  const nlohmann::ordered_json json = {{"a", options.a.string()},
                                       {"b", options.b.string()},
                                       {"images", result.images},
                                       {"dropped_images", result.dropped},
                                       {"batch_size", options.batch_size}};
  write_file_atomically(options.out / "result.json", json.dump(2) + "\n");
  finish_run_folder(session, options.out);
}

}  // namespace basin
