// The training loop, its metrics and its checkpoints.
#include "experiments/program/train.h"

#include <fmt/format.h>

#include <chrono>
#include <cmath>
#include <nlohmann/json.hpp>

#include "data/batch_feed.h"
#include "data/subset.h"
#include "engine/captured_step.h"
#include "engine/checkpoint.h"
#include "engine/files.h"
#include "engine/loss_accumulator.h"
#include "experiments/program/csv.h"
#include "experiments/program/evaluate.h"
#include "experiments/program/run_folder.h"
#include "kernels/base/parallel.h"
#include "models/registry.h"

namespace basin {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

// Of a multi-label set without validation images every so many-th training image is held out.
constexpr int64_t kHeldOutEvery = 10;

// No network comes back from a loss beyond it.
constexpr double kDivergedLoss = 1e6;

// How often in an epoch a device is asked for its losses: each time the host waits for it.
constexpr int64_t kLossReadings = 8;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

std::vector<std::string> metric_columns(bool multi_label) {
  const std::string score = score_name(multi_label);
  std::vector<std::string> columns = {"epoch",          "learning_rate",   "train_loss",
                                      "train_" + score, "train_eval_loss", "train_eval_" + score,
                                      "test_loss",      "test_" + score};
  if (multi_label) columns.insert(columns.end(), {"validation_loss", "validation_" + score});
  columns.insert(columns.end(), {"seconds", "images_per_second"});
  return columns;
}

void write_metrics(const fs::path& folder, const std::vector<EpochMetrics>& rows,
                   bool multi_label) {
  CsvTable table(metric_columns(multi_label));
  auto cell = [](double value) { return std::isnan(value) ? std::string() : csv_number(value); };
  for (const EpochMetrics& row : rows) {
    std::vector<std::string> cells = {std::to_string(row.epoch), cell(row.learning_rate),
                                      cell(row.train_loss),      cell(row.train_score),
                                      cell(row.train_eval_loss), cell(row.train_eval_score),
                                      cell(row.test_loss),       cell(row.test_score)};
    if (multi_label) {
      cells.insert(cells.end(), {cell(row.validation_loss), cell(row.validation_score)});
    }
    cells.insert(cells.end(), {cell(row.seconds), cell(row.images_per_second)});
    table.add_row(std::move(cells));
  }
  table.write(folder / "metrics.csv");
}

// Where training stands: what resume.safetensors holds beside weights and momentum. The sums of the
// running epoch are kept as hexadecimal floats, so that a resumed epoch reports the same bits.
struct Position {
  int64_t epoch = 0;  // epochs finished, evaluated and saved
  int64_t batch = 0;  // batches done in the next one
  double loss_sum = 0, correct = 0, images = 0, seconds = 0;

  std::string text() const {
    return fmt::format("{} {} {:a} {:a} {:a} {:a}", epoch, batch, loss_sum, correct, images,
                       seconds);
  }
  static Position parse(const std::string& text, const fs::path& path) {
    Position p;
    long long epoch = 0, batch = 0;
    BASIN_CHECK(std::sscanf(text.c_str(), "%lld %lld %la %la %la %la", &epoch, &batch, &p.loss_sum,
                            &p.correct, &p.images, &p.seconds) == 6,
                path.string(), ": the position '", text, "' is damaged");
    p.epoch = epoch;
    p.batch = batch;
    return p;
  }
};

class Trainer {
 public:
  // Loads all that the run needs, and changes nothing on disk.
  Trainer(const TrainOptions& options, RunStatus status, Session& session)
      : options_(options),
        session_(session),
        splits_(load(options, session)),
        sums_(session.stream, kDivergedLoss) {
    hold_out_validation(splits_, options.select_on_test);
    if (splits_.train->multi_label() && !options.select_on_test) {
      validation_ =
          std::make_unique<EvaluationSet>(splits_.validation, evaluation_loader(), session);
    }
    network_ =
        make_network({options.model, splits_.train->classes(), options.width, options.zero_fc_init},
                     activation_dtype(session.precision), session.stream, State::Use::kTraining);
    sgd_ = std::make_unique<Sgd>(network_->state(), options.sgd);
    data::LoaderOptions loader = shuffled_loader();
    loader.batch_size = std::min(options.batch_size, splits_.train->size());
    loader.seed = options.seed;
    test_ = std::make_unique<EvaluationSet>(splits_.test, evaluation_loader(), session);
    train_eval_ = std::make_unique<EvaluationSet>(
        data::evenly_spaced(splits_.train_evaluation, options.train_eval_size), evaluation_loader(),
        session);
    loader.shuffle = true;
    loader.augment = options.augment;
    loader.mixup_alpha = static_cast<float>(options.mixup);
    feed_ = std::make_unique<data::BatchFeed>(splits_.train, loader, session.stream,
                                              session.resident, network_->state().dtype());
    full_step_ = std::make_unique<CapturedStep>(
        session.stream, session.arena, [this] { queue_step(full_batch_); }, session.capture_steps);
    resumed_ = status == RunStatus::kUnfinished && fs::exists(resume_path());
    resumed_ ? load_resume() : load_start();
  }

  TrainResult run() {
    if (resumed_) {
      session_.log.message(fmt::format("resuming {} after epoch {}, batch {}",
                                       options_.out.string(), position_.epoch, position_.batch));
    } else {
      start_new();
    }
    std::unique_ptr<Progress> own;
    if (!session_.progress) {
      own = std::make_unique<Progress>(session_.log, cost(0, options_.epochs));
    }
    progress_ = own ? own.get() : session_.progress.get();
    progress_->skip(cost(0, position_.epoch) +
                    3.0 * static_cast<double>(position_.batch * feed_->options().batch_size));
    while (position_.epoch < options_.epochs) run_epoch();
    progress_->finish();
    write_result();
    finish_run_folder(session_, options_.out);
    fs::remove(resume_path());  // after DONE: a kill between the two loses nothing
    return {rows_, false};
  }

 private:
  static data::DataSplits load(const TrainOptions& options, Session& session) {
    data::DataOptions data = options.data;
    data.seed = options.seed;
    return session.load(data);
  }
  fs::path resume_path() const { return options_.out / "checkpoints" / "resume.safetensors"; }

  void load_resume() {
    const fs::path resume = resume_path();
    const auto metadata =
        load_checkpoint(network_->state(), resume, {.skip = {}, .momentum = Momentum::kWith});
    BASIN_CHECK(metadata.contains("position"), resume.string(), " is not a resume checkpoint");
    position_ = Position::parse(metadata.at("position"), resume);
    rows_ = read_metrics(options_.out);
    BASIN_CHECK(static_cast<int64_t>(rows_.size()) > position_.epoch, options_.out.string(),
                "/metrics.csv has fewer rows than epochs are done");
    // A kill may have come between two files.
    rows_.resize(static_cast<size_t>(position_.epoch) + 1);
    for (const EpochMetrics& row : rows_) note_best(row);
  }

  void load_start() {
    network_->initialize(options_.init_seed.value_or(options_.seed));
    if (!options_.init.empty()) {
      load_checkpoint(network_->state(), options_.init,
                      {.skip = {"fc.weight", "fc.bias"}, .momentum = Momentum::kWithout});
    }
  }

  data::LoaderOptions shuffled_loader() const {
    data::LoaderOptions loader;
    loader.block_size = options_.block_shuffle;
    loader.pixel_shuffle = options_.pixel_shuffle;
    loader.shuffle_seed = options_.shuffle_seed;
    return loader;
  }
  data::LoaderOptions evaluation_loader() const {
    data::LoaderOptions loader = shuffled_loader();
    loader.batch_size = std::max<int64_t>(options_.batch_size, 100);
    return loader;
  }
  bool tests_in(int64_t epoch) const {
    return epoch % options_.test_every == 0 || epoch == options_.epochs;
  }
  bool keeps_checkpoint_of(int64_t epoch) const {
    if (epoch == 0 || epoch == options_.epochs) return true;
    return options_.checkpoint_every > 0 && epoch % options_.checkpoint_every == 0;
  }
  // Images evaluated after `epoch`.
  double evaluation_images(int64_t epoch) const {
    int64_t images = train_eval_->size();
    if (tests_in(epoch)) images += test_->size();
    if (validation_) images += validation_->size();
    return static_cast<double>(images);
  }
  // The cost of epochs begin+1 .. end, in images of a forward pass; a training step is three.
  double cost(int64_t begin, int64_t end) const {
    double images = 0;
    for (int64_t epoch = begin + 1; epoch <= end; ++epoch) {
      images += 3.0 * static_cast<double>(splits_.train->size()) + evaluation_images(epoch);
    }
    return images;
  }

  void start_new() {
    session_.log.message(
        fmt::format("{}: {} with {} parameters, {} training and {} test images of {}x{}, device "
                    "{}, {}, {} threads",
                    options_.out.string(), options_.model, network_->state().parameter_count(),
                    splits_.train->size(), splits_.test->size(), splits_.train->height(),
                    splits_.train->width(), name_of(session_.stream.device()),
                    name_of(session_.precision), threads()));
    EpochMetrics row;
    row.learning_rate = row.train_loss = row.train_score = row.images_per_second = std::nan("");
    finish_epoch(row);
  }

  void run_epoch() {
    const double rate = options_.schedule.learning_rate(position_.epoch);
    feed_->start_epoch(position_.epoch, position_.batch);
    sums_.write({position_.loss_sum, static_cast<int64_t>(position_.correct),
                 static_cast<int64_t>(position_.images), position_.batch, 0, 0});
    // The CPU has nothing to wait for.
    const int64_t batches_a_reading = session_.stream.device() == Device::kCpu
                                          ? 1
                                          : feed_->batches_per_epoch() / kLossReadings + 1;
    show_progress();
    auto start = Clock::now();
    while (const data::BatchTensors* batch = feed_->next()) {
      if (interruption_requested()) {
        read_losses();
        position_.seconds += seconds_since(start);
        save_resume();
        session_.log.message("interrupted: saved " + options_.out.string() +
                             "; the same command with --resume goes on");
        throw Interrupted();
      }
      train_step(*batch, rate);
      ++position_.batch;
      if (progress_->due() || position_.batch % batches_a_reading == 0) {
        read_losses();
        show_progress();
      }
      progress_->advance(3.0 * static_cast<double>(batch->images.shape()[0]));
    }
    read_losses();
    position_.seconds += seconds_since(start);
    show_progress();
    if (interruption_requested()) {
      save_resume();
      throw Interrupted();
    }
    EpochMetrics row;
    row.epoch = position_.epoch + 1;
    row.learning_rate = rate;
    row.train_loss = position_.loss_sum / position_.images;
    row.train_score =
        splits_.train->multi_label() ? std::nan("") : position_.correct / position_.images;
    row.seconds = position_.seconds;
    row.images_per_second = position_.images / position_.seconds;
    finish_epoch(row);
  }

  void show_progress() {
    progress_->set_title(fmt::format(
        "{} epoch {}/{}{}", options_.out.filename().string(), position_.epoch + 1, options_.epochs,
        position_.images > 0 ? fmt::format(", loss {:.3f}", position_.loss_sum / position_.images)
                             : ""));
  }

  // Takes the sums of the running epoch over from the device, which it waits for.
  void read_losses() {
    const LossSums sums = sums_.read();
    BASIN_CHECK(sums.diverged_batch == 0, options_.out.string(), ": the loss is ",
                sums.diverged_loss, " in epoch ", position_.epoch + 1, ", batch ",
                sums.diverged_batch, ": training diverged. Lower --lr");
    position_.loss_sum = sums.loss;
    position_.correct = static_cast<double>(sums.correct);
    position_.images = static_cast<double>(sums.images);
  }

  // Queues forward, backward and update, with the rate that sgd_ has.
  void queue_step(const data::BatchTensors& batch) {
    network_->state().begin_step();
    Tape tape(session_.stream, session_.arena, true);
    const Tensor logits = network_->forward(tape, batch.images, Mode::kTrain);
    Tensor predictions;
    const Tensor loss = splits_.train->multi_label()
                            ? sigmoid_cross_entropy(tape, logits, batch.targets)
                            : softmax_cross_entropy(tape, logits, batch.targets, &predictions);
    sums_.add(loss, predictions, batch.labels, batch.images.shape()[0]);
    tape.backward(loss);
    sgd_->step();
  }

  void train_step(const data::BatchTensors& batch, double rate) {
    sgd_->set_learning_rate(rate);
    if (batch.images.shape()[0] == feed_->options().batch_size) {
      full_batch_ = batch;  // at the addresses of every full batch
      full_step_->run();
    } else {
      queue_step(batch);
    }
  }

  // Evaluates, then writes the epoch's files; the resume checkpoint last, so that a kill at any
  // moment redoes the epoch from the one before.
  void finish_epoch(EpochMetrics row) {
    row.test_loss = row.test_score = row.validation_loss = row.validation_score = std::nan("");
    try {
      if (tests_in(row.epoch)) {
        const Evaluation test = test_->evaluate(*network_);
        row.test_loss = test.loss;
        row.test_score = test.score;
      }
      if (validation_) {
        const Evaluation validation = validation_->evaluate(*network_);
        row.validation_loss = validation.loss;
        row.validation_score = validation.score;
      }
      const Evaluation on_train = train_eval_->evaluate(*network_);
      row.train_eval_loss = on_train.loss;
      row.train_eval_score = on_train.score;
    } catch (const Interrupted&) {
      if (row.epoch > 0) save_resume();
      throw;
    }
    BASIN_CHECK(row.epoch == 0 || ((!tests_in(row.epoch) || std::isfinite(row.test_loss)) &&
                                   std::isfinite(row.train_eval_loss)),
                options_.out.string(), ": after epoch ", row.epoch, " the test loss is ",
                row.test_loss, " and the training loss ", row.train_eval_loss,
                ": training diverged. Lower --lr");
    if (progress_) progress_->advance(evaluation_images(row.epoch));
    rows_.push_back(row);
    const std::map<std::string, std::string> metadata = {{"epoch", std::to_string(row.epoch)},
                                                         {"model", options_.model},
                                                         {"seed", std::to_string(options_.seed)},
                                                         {"commit", commit_text()}};
    if (keeps_checkpoint_of(row.epoch)) {
      save_checkpoint(network_->state(), epoch_checkpoint(options_.out, row.epoch), metadata);
    }
    save_checkpoint(network_->state(), options_.out / "checkpoints" / "last.safetensors", metadata);
    if (note_best(row)) {
      save_checkpoint(network_->state(), options_.out / "checkpoints" / "best.safetensors",
                      metadata);
    }
    write_metrics(options_.out, rows_, splits_.train->multi_label());
    position_ = {};
    position_.epoch = row.epoch;
    save_resume();
    const char* score = score_name(splits_.train->multi_label());
    session_.log.message(fmt::format(
        "{} epoch {}/{}: {}{}train {} {:.2f} %{}", options_.out.filename().string(), row.epoch,
        options_.epochs,
        row.epoch ? fmt::format("lr {:g}, train loss {:.4f}, ", row.learning_rate, row.train_loss)
                  : "",
        tests_in(row.epoch) ? fmt::format("test loss {:.4f}, test {} {:.2f} %, ", row.test_loss,
                                          score, 100 * row.test_score)
                            : "",
        score, 100 * row.train_eval_score,
        row.epoch ? fmt::format(", {:.0f} images/s", row.images_per_second) : ""));
  }

  // What the best checkpoint is chosen by; NaN in an epoch that does not measure it.
  double selection_score(const EpochMetrics& row) const {
    return validation_ ? row.validation_score : row.test_score;
  }

  bool note_best(const EpochMetrics& row) {
    const double score = selection_score(row);
    // Where no epoch so far had a score, any will do.
    const bool better =
        best_epoch_ < 0 || std::isnan(selection_score(best_)) || score > selection_score(best_);
    if (!better) return false;
    best_ = row;
    best_epoch_ = row.epoch;
    return true;
  }

  void save_resume() {
    save_checkpoint(network_->state(), resume_path(),
                    {{"position", position_.text()}, {"model", options_.model}}, Momentum::kWith);
  }

  void write_result() {
    const std::string score = score_name(splits_.train->multi_label());
    nlohmann::ordered_json json;
    const EpochMetrics& last = rows_.back();
    json["final"] = {{"test_" + score, last.test_score},
                     {"test_loss", last.test_loss},
                     {"train_eval_" + score, last.train_eval_score}};
    json["best"] = {{"epoch", best_.epoch},
                    {"selected_on", validation_ ? "validation" : "test"},
                    {"test_" + score, best_.test_score},
                    {"test_loss", best_.test_loss}};
    if (validation_) json["best"]["validation_" + score] = best_.validation_score;
    json["epochs"] = options_.epochs;
    double seconds = 0;
    for (const EpochMetrics& row : rows_) seconds += row.seconds;
    json["seconds"] = seconds;
    json["images_per_second"] = last.images_per_second;
    json["parameters"] = network_->state().parameter_count();
    json["activation_bytes"] = session_.arena.peak_bytes();
    write_file_atomically(options_.out / "result.json", json.dump(2) + "\n");
  }

  const TrainOptions& options_;
  Session& session_;
  data::DataSplits splits_;
  std::unique_ptr<Network> network_;
  std::unique_ptr<Sgd> sgd_;
  std::unique_ptr<EvaluationSet> test_, train_eval_;
  std::unique_ptr<EvaluationSet> validation_;  // null: the best checkpoint is chosen on test_
  std::unique_ptr<data::BatchFeed> feed_;
  data::BatchTensors full_batch_;
  LossAccumulator sums_;  // of the running epoch
  std::unique_ptr<CapturedStep> full_step_;
  Progress* progress_ = nullptr;
  bool resumed_ = false;
  Position position_;
  std::vector<EpochMetrics> rows_;
  EpochMetrics best_;
  int64_t best_epoch_ = -1;
};

}  // namespace

Options TrainOptions::list() {
  return Options{{"--model", &model, fmt::format("network: {}", fmt::join(model_names(), ", "))},
                 {"--width", &width, "channels of the first stage; 0: the network's own"},
                 {"--zero-fc-init", &zero_fc_init, "start fc at zero, as the first Fixup did"}} +
         all_data_options(data) +
         Options{
             {"--init", &init, "checkpoint to start from: all but fc.weight and fc.bias is loaded"},
             {"--epochs", &epochs, "passes over the training images", at_least(1)},
             {"--batch-size", &batch_size, "images per step", at_least(1)},
             {"--lr", &schedule.base, "learning rate; biases and scales train at a tenth of it",
              at_least(0)},
             {"--lr-milestones", &schedule.milestones,
              "epochs a,b,... after which the rate is multiplied by gamma"},
             {"--lr-gamma", &schedule.gamma, "factor of the learning rate at a milestone"},
             {"--momentum", &sgd.momentum, "of SGD", between(0, 1)},
             {"--weight-decay", &sgd.weight_decay, "l2 penalty, on all parameters", at_least(0)},
             {"--mixup", &mixup, "alpha of mixup's Beta(alpha, alpha); 0: none", at_least(0)},
             {"--augment", &augment,
              "random shifts or crops, and mirror images where they keep the label"},
             {"--block-shuffle", &block_shuffle,
              "cut every image into blocks of this side, in pixels, and permute them; 0: none"},
             {"--pixel-shuffle", &pixel_shuffle,
              "permute all values of every image, channels included"},
             {"--shuffle-seed", &shuffle_seed,
              "of the permutation, one for all images, as NumPy's RandomState takes it"},
             {"--train-eval-size", &train_eval_size,
              "training images evaluated after each epoch; 0: all"},
             {"--test-every", &test_every,
              "epochs between evaluations on the test images; the last is always evaluated",
              at_least(1)},
             {"--checkpoint-every", &checkpoint_every,
              "epochs between the checkpoints kept, besides first and last; 0: only these",
              at_least(0)},
             {"--paper", &select_on_test,
              "multi-label sets: choose the best checkpoint on the test images, as the paper's "
              "code does, not on validation images or a held-out tenth of the training images"},
             {"--seed", &seed, "of initial weights, order, augmentation, mixup, and --train-size"},
             {"--init-seed", &init_seed, "of the initial weights alone [as --seed]"},
             Option("--out", &out, "folder of the run").required().not_recorded(),
             Option("--resume", &resume, "go on with an unfinished run in --out").not_recorded()};
}

TrainResult train(const TrainOptions& options, Session& session) {
  TrainOptions copy = options;
  const Options list = copy.list();
  check_options(list);
  const Settings settings = settings_of(list);
  const RunStatus status = run_status(session, options.out, "train", settings, options.resume);
  if (status == RunStatus::kDone) {
    session.log.message(options.out.string() + " is done already; nothing was run");
    return {read_metrics(options.out), true};
  }
  Trainer trainer(options, status, session);
  open_run_folder(session, options.out, "train", settings, options.resume, true);
  return trainer.run();
}

TrainOptions recorded_training(const fs::path& run) {
  const auto settings = read_settings(run);
  const std::string source = (run / "config.json").string();
  const auto command = settings.find("command");
  BASIN_CHECK(command != settings.end() && command->second == "train", run.string(),
              " is not the folder of a training run");
  for (const char* needed : {"split", "train-size", "seed"}) {
    BASIN_CHECK(settings.contains(needed), source,
                " does not say which training images were used (split, train-size, seed)");
  }
  TrainOptions options;
  options.select_on_test = true;  // runs from before this setting existed held no images out
  set_options(options.list(), settings, source);
  return options;
}

Command train_command() {
  return make_command<TrainOptions>(
      "train a network, from random weights or from a checkpoint",
      [](const TrainOptions& options, Session& session) {
        train(options, session);
        const auto json = nlohmann::ordered_json::parse(read_file(options.out / "result.json"));
        return printed(json, fmt::format("{}: {}", options.out.string(), json["final"].dump()));
      });
}

void hold_out_validation(data::DataSplits& splits, bool select_on_test) {
  if (!splits.train->multi_label() || select_on_test || splits.validation) return;
  const data::HeldOut parts = data::hold_out(splits.train, kHeldOutEvery);
  splits.train = splits.train_evaluation = parts.rest;
  splits.validation = parts.held;
}

std::vector<EpochMetrics> read_metrics(const fs::path& folder) {
  const CsvTable table = CsvTable::read(folder / "metrics.csv");
  const std::string score = score_name(table.has_column("test_auc"));
  std::vector<EpochMetrics> rows;
  for (size_t i = 0; i < table.row_count(); ++i) {
    auto number = [&](const std::string& column) {
      if (!table.has_column(column)) return std::nan("");
      return table.number(i, column).value_or(std::nan(""));
    };
    EpochMetrics row;
    row.epoch = static_cast<int64_t>(number("epoch"));
    row.learning_rate = number("learning_rate");
    row.train_loss = number("train_loss");
    row.train_score = number("train_" + score);
    row.train_eval_loss = number("train_eval_loss");
    row.train_eval_score = number("train_eval_" + score);
    row.test_loss = number("test_loss");
    row.test_score = number("test_" + score);
    row.validation_loss = number("validation_loss");
    row.validation_score = number("validation_" + score);
    row.seconds = number("seconds");
    row.images_per_second = number("images_per_second");
    rows.push_back(row);
  }
  return rows;
}

}  // namespace basin
