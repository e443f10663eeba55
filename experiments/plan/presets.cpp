// The numbers of the presets.
#include "experiments/plan/presets.h"

#include <nlohmann/json.hpp>

#include "kernels/base/check.h"

namespace basin {
namespace {

// `scale` adapts the rate to the batch size.
Rate rate(const std::string& label, double scale = 1) {
  return {label, std::stod(label) * scale};
}

// ---- Fashion: real images in minutes ------------------------------------------------------------

constexpr int64_t kSourceImages = 50000;  // in the split "source"

TargetDomain fashion_target(const std::string& name, const PresetData& data, int64_t train_images,
                            int64_t test_images) {
  TargetDomain target;
  target.name = name;
  target.data.spec = "fashion/" + name;
  target.data.data_dir = data.fashion;
  target.data.split = "target";
  target.data.train_size = train_images;
  target.data.test_size = test_images;
  target.multi_label = name == "mosaic";
  target.size = {target.multi_label ? 64 : 32, 10, train_images, test_images};
  return target;
}

// The rate drops after three quarters and after 19 twentieths: with few epochs, most must have the
// full rate. The paper's runs of 100 epochs drop at 30, 60 and 90.
Recipe fashion_recipe(int64_t epochs, std::vector<Rate> rates) {
  return {.epochs = epochs,
          .batch_size = 16,
          .milestones = {epochs * 3 / 4, epochs * 19 / 20},
          .rates = std::move(rates)};
}

void set_source(Preset& preset, const PresetData& data, int64_t images, int64_t test_images,
                int64_t epochs) {
  preset.source_data.spec = "fashion/photo";
  preset.source_data.data_dir = data.fashion;
  preset.source_data.split = "source";
  if (images != kSourceImages) preset.source_data.train_size = images;
  preset.source_data.test_size = test_images;
  preset.source_size = {32, 10, images, test_images};
  // The rate drops for the last epoch.
  preset.source = {
      .epochs = epochs, .batch_size = 64, .milestones = {epochs - 1}, .rates = {rate("0.03")}};
}

Preset demo(const PresetData& data) {
  Preset preset;
  preset.title = "What is being transferred, on real images in minutes";
  preset.model = "fixup_resnet8";
  set_source(preset, data, 30000, 2000, 4);
  preset.source_train_eval = 2000;
  for (const char* name : {"photo", "clipart", "quickdraw"}) {
    TargetDomain target = fashion_target(name, data, 400, 1000);
    target.finetune = fashion_recipe(12, {rate("0.01"), rate("0.025")});
    target.randinit = fashion_recipe(12, {rate("0.025"), rate("0.01")});
    target.criticality_images = 100;
    preset.targets.push_back(std::move(target));
  }
  TargetDomain mosaic = fashion_target("mosaic", data, 500, 400);
  // A constant rate, as on the paper's CheXpert. It is higher and batches are smaller than on the
  // other targets: otherwise random starts would not leave chance level in this time.
  mosaic.finetune = fashion_recipe(10, {rate("0.07")});
  mosaic.finetune.batch_size = 4;
  mosaic.finetune.milestones = {};
  mosaic.randinit = mosaic.finetune;
  // Its images have four times the pixels.
  mosaic.criticality_images = 60;
  preset.targets.push_back(std::move(mosaic));
  preset.seeds = 3;
  preset.other_rate_seeds = 1;
  preset.train_eval = 200;
  preset.test_every = 4;
  preset.shuffle_blocks = {1, 8};
  preset.shuffle_permutations = 3;
  preset.shuffle_pixel_permutations = 1;
  preset.unshuffled_runs = 3;
  preset.pretraining_checkpoints = {0, 1, 2, 4};
  preset.checkpoint_seeds = 3;
  preset.interpolation_points = 11;
  preset.rewind_epochs = {0};
  preset.random_draws = 3;
  preset.criticality_distances = 7;
  preset.criticality_noise_levels = 5;
  preset.criticality_draws = 1;
  preset.criticality_targets = {"photo", "clipart", "quickdraw", "mosaic"};
  preset.extent_step = 0.1;
  preset.extent_noise_draws = 3;
  return preset;
}

Preset smoke(const PresetData& data) {
  Preset preset = demo(data);
  preset.title = "Smoke test of the paper's experiments";
  set_source(preset, data, 2000, 100, 2);
  preset.source_train_eval = 100;
  preset.targets.clear();
  TargetDomain photo = fashion_target("photo", data, 60, 100);
  photo.finetune = fashion_recipe(2, {rate("0.01")});
  photo.randinit = fashion_recipe(2, {rate("0.02"), rate("0.01")});
  preset.targets.push_back(photo);
  TargetDomain clipart = fashion_target("clipart", data, 60, 100);
  clipart.finetune = photo.finetune;
  clipart.randinit = photo.randinit;
  preset.targets.push_back(clipart);
  TargetDomain mosaic = fashion_target("mosaic", data, 60, 60);
  mosaic.finetune = fashion_recipe(1, {rate("0.01")});
  mosaic.randinit = fashion_recipe(2, {rate("0.02")});
  mosaic.finetune.milestones = mosaic.randinit.milestones = {};
  preset.targets.push_back(mosaic);
  preset.seeds = 2;
  preset.train_eval = 60;
  preset.test_every = 1;
  preset.shuffle_blocks = {4};
  preset.shuffle_permutations = preset.shuffle_pixel_permutations = preset.unshuffled_runs = 1;
  preset.pretraining_checkpoints = {0, 1, 2};
  preset.checkpoint_seeds = 1;
  preset.interpolation_points = 5;
  preset.random_draws = 1;
  preset.criticality_targets = {"photo", "mosaic"};
  preset.criticality_distances = 3;
  preset.criticality_noise_levels = 2;
  preset.criticality_draws = 1;
  preset.extent_step = 0.5;
  preset.extent_noise_draws = 1;
  return preset;
}

// ---- The paper ----------------------------------------------------------------------------------

// The paper calls its rates 0.02 and 0.1; DomainNet's batches of 32 divide them by 8.
constexpr double kDomainNetScale = 32.0 / 256.0;

TargetDomain domainnet_target(const std::string& name, const PresetData& data, int64_t train_images,
                              int64_t test_images) {
  TargetDomain target;
  target.name = name;
  target.data.spec = "domainnet:" + data.domainnet + "/" + name;
  target.size = {224, 345, train_images, test_images};
  const Rate low = rate("0.02", kDomainNetScale), high = rate("0.1", kDomainNetScale);
  target.finetune = {.epochs = 100,
                     .batch_size = 32,
                     .milestones = {30, 60, 90},
                     .rates = {low, high},
                     .mixup = 0.7,
                     .augment = true};
  target.randinit = target.finetune;
  target.randinit.rates = {high, low};
  return target;
}

Preset paper(const PresetData& data) {
  Preset preset;
  preset.title = "What is being transferred in transfer learning?";
  preset.model = "fixup_resnet50";
  preset.source_data.spec = "imagenet:" + data.imagenet;
  preset.source_size = {224, 1000, 1281167, 50000};
  preset.source = {.epochs = 90,
                   .batch_size = 256,
                   .milestones = {30, 60},
                   .rates = {rate("0.1")},
                   .mixup = 0.7,
                   .augment = true};
  preset.source_train_eval = 50000;
  // Lists are cut to 50,000 images.
  preset.targets = {domainnet_target("real", data, 50000, 50000),
                    domainnet_target("clipart", data, 33525, 14604),
                    domainnet_target("quickdraw", data, 50000, 50000)};
  TargetDomain chexpert;
  chexpert.name = "chexpert";
  chexpert.data.spec = "chexpert:" + data.chexpert;
  chexpert.multi_label = true;
  chexpert.size = {224, 5, 50000, 50000};
  chexpert.finetune = {.epochs = 200, .batch_size = 256, .rates = {rate("0.02")}, .augment = true};
  chexpert.randinit = chexpert.finetune;
  chexpert.randinit.epochs = 400;
  chexpert.randinit.rates = {rate("0.1"), rate("0.02")};
  preset.targets.push_back(std::move(chexpert));
  preset.seeds = preset.other_rate_seeds = 2;
  preset.shuffle_blocks = {1, 2, 4, 7, 8, 14, 16, 28, 32, 56, 112};
  preset.shuffle_permutations = preset.shuffle_pixel_permutations = 3;
  preset.unshuffled_runs = 1;
  preset.shuffle_other_rates = true;
  preset.pretraining_checkpoints = {0, 1, 2, 5, 10, 29, 30, 31, 59, 60, 61, 89, 90};
  preset.checkpoint_seeds = 1;
  preset.checkpoint_other_rates = true;
  preset.interpolation_points = 50;
  preset.rewind_epochs = {0};
  preset.random_draws = 3;
  for (TargetDomain& target : preset.targets) target.criticality_images = 10000;
  preset.criticality_distances = 40;
  preset.criticality_noise_levels = 20;
  preset.criticality_draws = 5;
  preset.criticality_targets = {"real", "clipart", "quickdraw", "chexpert"};
  preset.extent_step = 0.05;
  preset.extent_noise_draws = 5;
  return preset;
}

}  // namespace

Preset preset_of(const std::string& name, const PresetData& data) {
  BASIN_CHECK(name == "smoke" || name == "demo" || name == "paper", "no preset is named ", name,
              "; known: smoke, demo, paper");
  Preset preset = name == "smoke" ? smoke(data) : name == "demo" ? demo(data) : paper(data);
  preset.name = name;
  return preset;
}

// As NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE, but writing only, and in this order.
#define BASIN_TO_JSON(Type, ...)                                                       \
  void to_json(nlohmann::ordered_json& nlohmann_json_j, const Type& nlohmann_json_t) { \
    NLOHMANN_JSON_EXPAND(NLOHMANN_JSON_PASTE(NLOHMANN_JSON_TO, __VA_ARGS__))           \
  }
namespace data {
BASIN_TO_JSON(DataOptions, spec, split, train_size, test_size)
}
BASIN_TO_JSON(Rate, label, value)
BASIN_TO_JSON(Recipe, epochs, batch_size, milestones, rates, mixup, augment)
BASIN_TO_JSON(TargetDomain, name, data, finetune, randinit, criticality_images)
BASIN_TO_JSON(Preset, model, source_data, source, source_train_eval, targets, seeds,
              other_rate_seeds, train_eval, test_every, shuffle_blocks, shuffle_permutations,
              shuffle_pixel_permutations, unshuffled_runs, shuffle_other_rates,
              pretraining_checkpoints, checkpoint_seeds, checkpoint_other_rates,
              interpolation_points, rewind_epochs, random_draws, criticality_distances,
              criticality_noise_levels, criticality_draws, criticality_targets, extent_step,
              extent_noise_draws)
#undef BASIN_TO_JSON

std::string preset_text(const Preset& preset) {
  return nlohmann::ordered_json(preset).dump(2);
}

}  // namespace basin
