// Writing and comparing plan.json.
#include "experiments/plan/plan_json.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "engine/files.h"
#include "experiments/program/run_folder.h"
#include "kernels/base/check.h"
#include "kernels/base/parallel.h"

namespace basin {
namespace {

using Json = nlohmann::ordered_json;

std::filesystem::path plan_json_path(const PaperPlan& plan) {
  return plan.options().out / "plan.json";
}

Json target_json(const PaperPlan& plan, const TargetDomain& target) {
  Json json = {{"name", target.name},
               {"data", target.data.spec},
               {"train_size", target.size.train_images},
               {"test_size", test_images(target)},
               {"epochs", target.finetune.epochs}};
  for (const Start start : kStarts) {
    for (int64_t seed = 1; seed <= plan.preset().seeds; ++seed) {
      json[name_of(start)].push_back("runs/" +
                                     plan.run_name(target, plan.main_run(target, start, seed)));
    }
  }
  return json;
}

Json sheets_json(const Preset& preset) {
  Json sheets = Json::array();
  for (const TargetDomain& target : preset.targets) {
    sheets.push_back({{"data", target.data.spec}, {"png", "sheets/" + target.name + ".png"}});
    if (target.multi_label) continue;
    sheets.push_back(
        {{"data", fmt::format("{} as it is and, downwards, with shuffled blocks of {} pixels and "
                              "all values shuffled",
                              target.data.spec, fmt::join(sheet_blocks(preset), ", "))},
         {"png", "sheets/" + target.name + "-shuffled.png"}});
  }
  return sheets;
}

Json run_json(const PaperPlan::Item& item, const Preset& preset) {
  const TargetRun& run = *item.run;
  const Rate& rate = item.target->recipe(run.start).rates.at(run.rate);
  Json json;
  json["path"] = "runs/" + item.task.name;
  for (const Experiment& experiment : experiments()) {
    if (item.task.experiments.contains(experiment.name)) {
      json["experiments"].push_back(experiment.name);
    }
  }
  json["target"] = item.target->name;
  json["start"] = name_of(run.start);
  json["learning_rate"] = rate.value;
  json["rate_label"] = rate.label;
  json["seed"] = run.seed;
  if (run.start == Start::kFinetune) {
    json["pretrained_epoch"] = run.pretrained_epoch.value_or(preset.source.epochs);
  }
  json["shuffle"] = run.pixel_shuffle   ? "pixels"
                    : run.block_shuffle ? fmt::format("block{}", run.block_shuffle)
                                        : "none";
  json["shuffle_seed"] = run.shuffle_seed();
  json["augment"] = run.augment;
  json["same_init"] = run.same_init;
  return json;
}

}  // namespace

std::vector<int64_t> sheet_blocks(const Preset& preset) {
  return {preset.shuffle_blocks.rbegin(), preset.shuffle_blocks.rend()};
}

PlanJson::PlanJson(const PaperPlan& plan, Precision precision)
    : plan_(plan),
      precision_(precision),
      started_(fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(std::time(nullptr)))) {
  const std::filesystem::path path = plan_json_path(plan);
  if (!std::filesystem::exists(path)) return;
  const std::string out = plan.options().out.string();
  const auto before = nlohmann::json::parse(read_file(path), nullptr, false);
  BASIN_CHECK(before.is_object(), path.string(), " is damaged. Remove it, or choose another --out");
  const std::string name = before.value("preset", "");
  BASIN_CHECK(name == plan.preset().name, out, " holds the results of --preset ", name, ", not of ",
              plan.preset().name, ". Choose another --out");
  const std::string precision_before = before.value("precision", name_of(Precision::kFp32));
  BASIN_CHECK(precision_before == name_of(precision), out, " holds results of networks in ",
              precision_before, ", not in ", name_of(precision), ". Add --precision ",
              precision_before, ", or choose another --out");
  const auto settings = before.value("settings", nlohmann::json());
  BASIN_CHECK(settings == nlohmann::json::parse(preset_text(plan.preset())), out,
              " holds the results of --preset ", name,
              " with other settings (by another version, or from other data). Choose another "
              "--out");
  started_ = before.value("started", started_);
  seconds_before_ = before.value("seconds", 0.0);
}

void PlanJson::write() const {
  const Preset& preset = plan_.preset();
  const std::chrono::duration<double> now = std::chrono::steady_clock::now() - start_;
  Json json = {
      {"title", preset.title},
      {"preset", preset.name},
      {"precision", name_of(precision_)},
      {"started", started_},
      {"seconds", seconds_before_ + now.count()},
      {"machine", {{"cpu", cpu_name()}, {"threads", threads()}, {"commit", commit_text()}}},
      {"source",
       {{"data", preset.source_data.spec},
        {"split", preset.source_data.split},
        {"images", preset.source_size.train_images},
        {"epochs", preset.source.epochs},
        {"model", preset.model},
        {"run", std::string("runs/") + kPretraining}}},
      {"targets", Json::array()},
      {"sheets", sheets_json(preset)},
      {"runs", Json::array()},
      {"analyses", Json::array()},
      {"settings", Json::parse(preset_text(preset))}};
  for (const TargetDomain& target : preset.targets) {
    json["targets"].push_back(target_json(plan_, target));
  }
  for (const PaperPlan::Item& item : plan_.items()) {
    if (item.run) {
      json["runs"].push_back(run_json(item, preset));
    } else if (item.target) {
      json["analyses"].push_back({{"experiment", *item.task.experiments.begin()},
                                  {"target", item.target->name},
                                  {"pair", item.detail},
                                  {"folder", "analyses/" + item.task.name}});
    }
  }
  write_file_atomically(plan_json_path(plan_), json.dump(2) + "\n");
}

}  // namespace basin
