// CKA from Gram matrices of the stages' outputs.
#include "experiments/cka/cka.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>

#include "data/batch_feed.h"
#include "engine/files.h"
#include "engine/linear_algebra.h"
#include "experiments/program/analyses.h"
#include "experiments/program/command.h"
#include "experiments/program/csv.h"
#include "experiments/program/model_file.h"

namespace basin {
namespace {

constexpr int64_t kSmallestBatch = 4;

double ratio(const HsicValues& hsic) {
  return hsic.kk > 0 && hsic.ll > 0 ? hsic.kl / (std::sqrt(hsic.kk) * std::sqrt(hsic.ll))
                                    : std::numeric_limits<double>::quiet_NaN();
}

// From the module whose output is that of a stage to the name of the stage.
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

FeatureGrams feature_grams(Tape& tape, const Tensor& features) {
  const Shape& shape = features.shape();
  return {shape[0], shape[shape.rank() - 1], image_gram(tape, features),
          channel_gram(tape, features)};
}

void FeatureSimilarity::add(const FeatureGrams& a, const FeatureGrams& b) {
  BASIN_CHECK(a.images == b.images, "features of ", a.images, " images are compared with those of ",
              b.images);
  const HsicValues batch = unbiased_hsic(a.image, b.image, a.images);
  hsic_.kl += batch.kl;
  hsic_.kk += batch.kk;
  hsic_.ll += batch.ll;
  channels_a_ = a.channels;
  channels_b_ = b.channels;
  channel_a_.resize(a.channel.size());
  channel_b_.resize(b.channel.size());
  for (size_t i = 0; i < a.channel.size(); ++i) channel_a_[i] += a.channel[i];
  for (size_t i = 0; i < b.channel.size(); ++i) channel_b_[i] += b.channel[i];
}

double FeatureSimilarity::cka() const {
  // The means' common factor 1/batches cancels.
  return ratio(hsic_);
}

double FeatureSimilarity::aligned_cka() const {
  if (channels_a_ != channels_b_ || channels_a_ < kSmallestBatch) {
    return std::numeric_limits<double>::quiet_NaN();
  }
  return ratio(unbiased_hsic(channel_a_, channel_b_, channels_a_));
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
  data::BatchFeed feed(dataset,
                       {.batch_size = std::min(batch_size, dataset->size()), .shuffle = true},
                       session.stream, session.resident, a.state().dtype());
  feed.start_epoch(0);
  std::map<std::string, FeatureSimilarity> similarity;
  CkaResult result{{}, 0, 0};
  while (const data::BatchTensors* batch = feed.next()) {
    check_interruption();
    const int64_t size = batch->images.shape()[0];
    if (session.progress) session.progress->advance(2.0 * static_cast<double>(size));
    if (size < kSmallestBatch) {
      result.dropped = size;
      continue;
    }
    Tape tape(session.stream, session.arena, false);
    auto grams_of = [&](Network& network, const std::map<std::string, std::string>& outputs) {
      std::map<std::string, FeatureGrams> grams;
      network.forward(tape, batch->images, Mode::kEvaluate,
                      [&](const std::string& module, const Tensor& value) {
                        const auto found = outputs.find(module);
                        if (found != outputs.end()) {
                          grams[found->second] =
                              feature_grams(tape, convert(tape, value, DType::kF32));
                        }
                      });
      return grams;
    };
    const auto grams_a = grams_of(a, outputs_a), grams_b = grams_of(b, outputs_b);
    for (const std::string& stage : stages) {
      similarity[stage].add(grams_a.at(stage), grams_b.at(stage));
    }
    result.images += size;
  }
  for (const std::string& stage : stages) {
    result.stages.push_back({stage, similarity[stage].cka(), similarity[stage].aligned_cka()});
  }
  return result;
}

Options CkaOptions::list() {
  return Options{Option("a", &a, "checkpoint or run folder").required(),
                 Option("b", &b, "checkpoint or run folder").required(),
                 model_option(model),
                 {"--batch-size", &batch_size,
                  "images per estimate; a last batch of fewer than four is left out",
                  at_least(kSmallestBatch)}} +
         test_data_options(data) + Options{out_option(out)};
}

void run_cka(const CkaOptions& options, Session& session) {
  run_analysis("cka", options, session, [&](const auto& open_folder) {
    const auto a = load_network(options.a, options.model, session);
    const auto b = load_network(options.b, options.model, session);
    const auto test = session.load(options.data).test;
    open_folder();
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
  });
}

Command cka_command() {
  return make_command<CkaOptions>(
      "similarity of two networks' features on test images, per stage (paper, Table 1)",
      [](const CkaOptions& options, Session& session) {
        run_cka(options, session);
        return printed_result(options.out, "modules",
                              printed_rows(CsvTable::read(options.out / "cka.csv"),
                                           {{"module", "module", 8, PrintedColumn::kText},
                                            {"cka", "cka", 8, 4},
                                            {"aligned_cka", "aligned cka", 12, 4}}));
      });
}

}  // namespace basin
