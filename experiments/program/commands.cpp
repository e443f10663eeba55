// The subcommands: their options, and what they print.
#include "experiments/program/commands.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cmath>
#include <nlohmann/json.hpp>

#include "data/dataset.h"
#include "data/image/contact_sheet.h"
#include "data/sources/registry.h"
#include "engine/checkpoint.h"
#include "engine/files.h"
#include "experiments/distance/distance.h"
#include "experiments/plan/dry_run.h"
#include "experiments/plan/paper.h"
#include "experiments/program/analyses.h"
#include "experiments/program/csv.h"
#include "experiments/program/evaluate.h"
#include "experiments/program/model_file.h"
#include "experiments/program/train.h"
#include "experiments/registry.h"
#include "experiments/report/report.h"
#include "kernels/base/check.h"

namespace basin {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

}  // namespace

void print(const CommonOptions& common, const nlohmann::ordered_json& json,
           const std::string& text) {
  const std::string out = common.json ? json.dump(2) : text;
  fmt::print("{}\n", out);
}

void add_test_data(CLI::App* sub, data::DataOptions& data) {
  sub->add_option("--data", data.spec, data::help())->required();
  sub->add_option("--data-dir", data.data_dir,
                  "folder of the Fashion-MNIST files [where Debian puts them]");
  sub->add_option("--image-size", data.image_size, "side of the images in pixels; 0: the set's own")
      ->capture_default_str();
  sub->add_option("--test-size", data.test_size, "test images, equally from every class; 0: all")
      ->capture_default_str();
  sub->add_flag("--skip-bad", data.skip_bad,
                "images in files: leave out unreadable ones, named and counted");
}

void add_model(CLI::App* sub, std::string& model) {
  sub->add_option("--model", model, "network, when the checkpoint does not say it");
}

void add_train_command(CLI::App& app, const CommonOptions& common, Session& session,
                       std::function<void()>& command) {
  auto options = std::make_shared<TrainOptions>();
  CLI::App* sub =
      app.add_subcommand("train", "train a network, from random weights or from a checkpoint");
  sub->option_defaults()->always_capture_default();
  TrainOptions& o = *options;
  sub->add_option("--model", o.model,
                  "network: [fixup_]resnet followed by 8, 14, 20, 32, 44, 56 (32x32 images), "
                  "18, 34, 50, 101, 152 (ImageNet), 18_32, 34_32, 50_32");
  sub->add_option("--width", o.width, "channels of the first stage; 0: the network's own");
  sub->add_flag("--zero-fc-init", o.zero_fc_init, "start fc at zero, as the first Fixup did");
  sub->add_option("--data", o.data.spec, data::help())->required();
  sub->add_option("--data-dir", o.data.data_dir,
                  "folder of the Fashion-MNIST files [where Debian puts them]");
  sub->add_option("--split", o.data.split,
                  "training images: all, source, or target (disjoint from source)")
      ->check(CLI::IsMember({"all", "source", "target"}));
  sub->add_option("--image-size", o.data.image_size,
                  "side of the images in pixels; 0: the set's own");
  sub->add_option("--train-size", o.data.train_size,
                  "training images drawn by the seed, equally from every class; 0: all");
  sub->add_option("--test-size", o.data.test_size, "test images, equally from every class; 0: all");
  sub->add_flag("--skip-bad", o.data.skip_bad,
                "images in files: leave out unreadable ones, named and counted");
  sub->add_option("--init", o.init,
                  "checkpoint to start from: all but fc.weight and fc.bias is loaded");
  sub->add_option("--epochs", o.epochs, "passes over the training images")
      ->check(CLI::PositiveNumber);
  sub->add_option("--batch-size", o.batch_size, "images per step")->check(CLI::PositiveNumber);
  sub->add_option("--lr", o.schedule.base,
                  "learning rate; biases and scales train at a tenth of it")
      ->check(CLI::NonNegativeNumber);
  sub->add_option("--lr-milestones", o.schedule.milestones,
                  "epochs a,b,... after which the rate is multiplied by gamma")
      ->delimiter(',');
  sub->add_option("--lr-gamma", o.schedule.gamma, "factor of the learning rate at a milestone");
  sub->add_option("--momentum", o.sgd.momentum, "of SGD")->check(CLI::Range(0.0, 1.0));
  sub->add_option("--weight-decay", o.sgd.weight_decay, "l2 penalty, on all parameters")
      ->check(CLI::NonNegativeNumber);
  sub->add_option("--mixup", o.mixup, "alpha of mixup's Beta(alpha, alpha); 0: none")
      ->check(CLI::NonNegativeNumber);
  sub->add_flag("--augment", o.augment,
                "random shifts or crops, and mirror images where they keep the label");
  sub->add_option("--block-shuffle", o.block_shuffle,
                  "cut every image into blocks of this side, in pixels, and permute them; 0: none");
  sub->add_flag("--pixel-shuffle", o.pixel_shuffle,
                "permute all values of every image, channels included");
  sub->add_option("--shuffle-seed", o.shuffle_seed,
                  "of the permutation, one for all images, as NumPy's RandomState takes it");
  sub->add_option("--train-eval-size", o.train_eval_size,
                  "training images evaluated after each epoch; 0: all");
  sub->add_option("--test-every", o.test_every,
                  "epochs between evaluations on the test images; the last is always evaluated")
      ->check(CLI::PositiveNumber);
  sub->add_option("--checkpoint-every", o.checkpoint_every,
                  "epochs between the checkpoints kept, besides first and last; 0: only these")
      ->check(CLI::NonNegativeNumber);
  sub->add_flag("--paper", o.select_on_test,
                "multi-label sets: choose the best checkpoint on the test images, as the paper's "
                "code does, not on validation images or a held-out tenth of the training images");
  sub->add_option("--seed", o.seed,
                  "of initial weights, order, augmentation, mixup, and --train-size");
  sub->add_option("--init-seed", o.init_seed, "of the initial weights alone [as --seed]");
  sub->add_option("--out", o.out, "folder of the run")->required();
  sub->add_flag("--resume", o.resume, "go on with an unfinished run in --out");
  sub->callback([&common, &session, &command, options] {
    command = [&common, &session, options] {
      options->data.seed = options->seed;
      const TrainResult result = train(*options, session);
      if (result.was_done) {
        session.log.message(options->out.string() + " is done already; nothing was run");
      }
      const Json json = Json::parse(read_file(options->out / "result.json"));
      print(common, json, fmt::format("{}: {}", options->out.string(), json["final"].dump()));
    };
  });
}

void add_eval_command(CLI::App& app, const CommonOptions& common, Session& session,
                      std::function<void()>& command) {
  struct Options {
    std::string checkpoint, model;
    data::DataOptions data;
    int64_t batch_size = 200;
  };
  auto options = std::make_shared<Options>();
  CLI::App* sub = app.add_subcommand("eval", "loss and accuracy of a checkpoint on test images");
  sub->add_option("--checkpoint", options->checkpoint, "safetensors file or run folder")
      ->required();
  add_test_data(sub, options->data);
  add_model(sub, options->model);
  sub->add_option("--batch-size", options->batch_size, "images per pass")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  sub->callback([&common, &session, &command, options] {
    command = [&common, &session, options] {
      auto network = load_network(options->checkpoint, options->model, session);
      EvaluationSet set(session.load(options->data).test, {.batch_size = options->batch_size},
                        session);
      const Evaluation result = set.evaluate(*network);
      const std::string score = score_name(set.multi_label());
      print(common, {{"images", set.size()}, {"loss", result.loss}, {score, result.score}},
            fmt::format("{} images: loss {:.4f}, {} {:.2f} %", set.size(), result.loss, score,
                        100 * result.score));
    };
  });
}

void add_data_command(CLI::App& app, const CommonOptions& common, Session& session,
                      std::function<void()>& command) {
  struct Options {
    data::DataOptions data;
    std::string sheet;
    int64_t rows = 10, columns = 12;
  };
  auto options = std::make_shared<Options>();
  CLI::App* sub = app.add_subcommand("data", "describe a data set, or write a contact sheet of it");
  add_test_data(sub, options->data);
  sub->add_option("--split", options->data.split, "training images: all, source, or target")
      ->check(CLI::IsMember({"all", "source", "target"}))
      ->capture_default_str();
  sub->add_option("--train-size", options->data.train_size,
                  "training images drawn by the seed; 0: all")
      ->capture_default_str();
  sub->add_option("--seed", options->data.seed, "of --train-size")->capture_default_str();
  sub->add_option("--sheet", options->sheet, "PNG file to write: training images, a row per class");
  sub->add_option("--rows", options->rows, "of the sheet")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  sub->add_option("--columns", options->columns, "of the sheet")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  sub->callback([&common, &session, &command, options] {
    command = [&common, &session, options] {
      const data::DataSplits splits = session.load(options->data);
      const data::Dataset& train = *splits.train;
      if (!options->sheet.empty()) {
        data::write_contact_sheet(train, options->sheet, options->rows, options->columns);
      }
      print(common,
            {{"train_images", train.size()},
             {"distinct_train_images", splits.train_evaluation->size()},
             {"test_images", splits.test->size()},
             {"validation_images", splits.validation ? splits.validation->size() : 0},
             {"height", train.height()},
             {"width", train.width()},
             {"multi_label", train.multi_label()},
             {"classes", train.class_names()},
             {"mean", train.mean()},
             {"stddev", train.stddev()}},
            fmt::format("{}: {} training and {} test images of {}x{}, {} {}{}", options->data.spec,
                        train.size(), splits.test->size(), train.height(), train.width(),
                        train.classes(), train.multi_label() ? "labels" : "classes",
                        options->sheet.empty() ? "" : "; wrote " + options->sheet));
    };
  });
}

void add_report_command(CLI::App& app, const CommonOptions& common, Session&,
                        std::function<void()>& command) {
  auto folder = std::make_shared<std::string>();
  CLI::App* sub = app.add_subcommand("report", "write report.html of a folder of results");
  sub->add_option("dir", *folder, "folder that `basin paper` filled")
      ->required()
      ->check(CLI::ExistingDirectory);
  sub->callback([&common, &command, folder] {
    command = [&common, folder] {
      write_report(*folder);
      const std::string path = (fs::path(*folder) / "report.html").string();
      print(common, {{"report", path}}, "wrote " + path);
    };
  });
}

void add_paper_commands(CLI::App& app, const CommonOptions& common, Session& session,
                        std::function<void()>& command) {
  struct Options {
    PaperOptions paper;
    std::string shard = "1/1";
    bool dry_run = false;
  };
  const std::vector<std::pair<std::string, std::string>> commands = {
      {"paper", "run the plan of all experiments and write its report"},
      {"curves", "learning curves of P-T and RI-T (paper, Fig. 2): paper --only curves"},
      {"shuffle", "transfer to block-shuffled images (paper, Fig. 3): paper --only shuffle"},
      {"checkpoints",
       "transfer from intermediate checkpoints of pre-training (paper, Fig. 7): paper --only "
       "checkpoints"}};
  for (const auto& [name, description] : commands) {
    auto options = std::make_shared<Options>();
    CLI::App* sub = app.add_subcommand(name, description + "; a second call goes on or reuses");
    sub->option_defaults()->always_capture_default();
    PaperOptions& o = options->paper;
    sub->add_option("--preset", o.preset,
                    "size of the plan: smoke (a minute), demo (a quarter of an hour on two cores), "
                    "paper (the paper's protocol: months of a GPU)")
        ->check(CLI::IsMember({"smoke", "demo", "paper"}));
    if (name == "paper") {
      sub->add_option("--only", o.only,
                      "experiments a,b,...: " +
                          fmt::format("{}", fmt::join(experiment_names(), ", ")) + " [all]")
          ->delimiter(',')
          ->check(CLI::IsMember(experiment_names()));
    } else {
      o.only = {name};
    }
    sub->add_option("--shard", options->shard,
                    "i/n: this process does the ith of n shares; the others may run on other "
                    "machines with the same --out");
    sub->add_flag("--dry-run", options->dry_run,
                  "list every run with its cost and whether it is done; run nothing");
    sub->add_option("--data-dir", o.data.fashion,
                    "folder of the Fashion-MNIST files [where Debian puts them]");
    sub->add_option("--imagenet", o.data.imagenet, "preset paper: folder with train/ and val/");
    sub->add_option("--domainnet", o.data.domainnet,
                    "preset paper: folder of DomainNet's lists and domains");
    sub->add_option("--chexpert", o.data.chexpert,
                    "preset paper: folder with CheXpert's train.csv and valid.csv");
    sub->add_option("--out", o.out, "folder of the results");
    sub->callback([&common, &session, &command, options] {
      command = [&common, &session, options] {
        options->paper.shard = Shard::parse(options->shard);
        const PaperPlan plan(options->paper);
        if (options->dry_run) {
          const std::string text = dry_run(plan, session);
          print(common, {{"plan", text}}, text);
          return;
        }
        run_paper(plan, session);
        const std::string path =
            fs::absolute(options->paper.out / "report.html").lexically_normal().string();
        print(common, {{"report", path}}, "report: " + path);
      };
    });
  }
}

}  // namespace basin
