// Training runs: interrupted ones end with the bits of those that were not, and folders are never
// spoilt.
#include "experiments/program/train.h"
#include "models/registry.h"

#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <nlohmann/json.hpp>

#include "data/image/image.h"
#include "engine/checkpoint.h"
#include "experiments/program/analyses.h"
#include "experiments/program/evaluate.h"
#include "experiments/program/model_file.h"
#include "kernels/base/parallel.h"
#include "tests/experiments/tiny_data.h"
#include "tests/support/errors.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/training.h"

using namespace basin;
using namespace basin::test;

namespace {

// Counts the calls of the engine, and raises a signal after one of them: interruptions at chosen
// places of training and evaluation.
class SignalAfter final : public CallObserver {
 public:
  explicit SignalAfter(int64_t call, int signal = SIGTERM) : call_(call), signal_(signal) {}
  void begin() override {}
  void end(const char*, double, double) override {
    if (++calls_ == call_) std::raise(signal_);
  }
  int64_t calls() const { return calls_; }

 private:
  int64_t calls_ = 0, call_;
  int signal_;
};

TrainResult run(const TrainOptions& options) {
  return train(options, *small_session());
}

// The calls the engine makes in a whole run.
int64_t calls_of(const TrainOptions& options) {
  const auto session = small_session();
  SignalAfter counter(-1);
  session->stream.observer = &counter;
  train(options, *session);
  return counter.calls();
}

enum Ending { kFinished = 0, kFailed = 1, kStopped = 75, kKilled = 1000 };

// Trains in a process of its own, for the flag of an interruption stays set, and SIGKILL kills; the
// signal comes after the given call of the engine.
Ending run_signalled(const TrainOptions& options, int64_t call, int signal = SIGTERM) {
  REQUIRE(threads() == 1);  // threads do not survive a fork
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    int code = kFailed;
    try {
      catch_interruption();
      const auto session = small_session();
      SignalAfter observer(call, signal);
      session->stream.observer = &observer;
      train(options, *session);
      code = kFinished;
    } catch (const Interrupted&) {
      code = kStopped;
    } catch (const std::exception& error) {
      std::fprintf(stderr, "the process that trains: %s\n", error.what());
    }
    _exit(code);
  }
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  return WIFEXITED(status) ? static_cast<Ending>(WEXITSTATUS(status)) : kKilled;
}

struct Fixture {
  TemporaryFolder folder;
  fs::path data = folder.path / "data";

  explicit Fixture(int64_t classes = 3) {
    set_threads(1);
    write_tiny_data(data, 60, 21, classes);
  }
  ~Fixture() { set_threads(1); }
  TrainOptions options(const std::string& out) const {
    return tiny_options(data, folder.path / out);
  }
};

void stop_in_second_epoch(const Fixture& fixture, const TrainOptions& options) {
  const int64_t calls = calls_of(fixture.options("counted"));
  REQUIRE(run_signalled(options, calls * 7 / 10) == kStopped);
  REQUIRE(fs::exists(epoch_checkpoint(options.out, 1)));
  REQUIRE_FALSE(fs::exists(epoch_checkpoint(options.out, 2)));
}

}  // namespace

TEST_CASE("train: what a finished run leaves") {
  const Fixture fixture;
  const TrainOptions options = fixture.options("run");
  const TrainResult result = run(options);
  CHECK_FALSE(result.was_done);
  REQUIRE(result.epochs.size() == 3);
  for (const char* file : {"config.json", "config.toml", "environment.json", "metrics.csv",
                           "result.json", "log.txt", "DONE", "checkpoints/best.safetensors"}) {
    CAPTURE(file);
    CHECK(fs::exists(options.out / file));
  }
  CHECK(saved_epochs(options.out) == std::vector<int64_t>{0, 1, 2});
  CHECK_FALSE(fs::exists(options.out / "checkpoints" / "resume.safetensors"));
  CHECK(read_file(epoch_checkpoint(options.out, 2)) ==
        read_file(options.out / "checkpoints" / "last.safetensors"));
  CHECK(result.epochs[1].learning_rate == 0.05);
  CHECK(result.epochs[2].learning_rate == 0.05 * 0.1);
  CHECK(std::isnan(result.epochs[0].train_loss));

  const auto rows = read_metrics(options.out);
  REQUIRE(rows.size() == 3);
  int64_t best = 0;
  for (size_t i = 0; i < 3; ++i) {
    CHECK(rows[i].epoch == static_cast<int64_t>(i));
    CHECK(rows[i].test_loss == result.epochs[i].test_loss);
    CHECK(rows[i].train_eval_score == result.epochs[i].train_eval_score);
    if (rows[i].test_score > rows[static_cast<size_t>(best)].test_score) {
      best = static_cast<int64_t>(i);
    }
  }
  const auto json = nlohmann::json::parse(read_file(options.out / "result.json"));
  CHECK(json["final"]["test_accuracy"] == rows[2].test_score);
  CHECK(json["best"]["epoch"] == best);
  CHECK(json["best"]["test_accuracy"] == rows[static_cast<size_t>(best)].test_score);
  const auto session = small_session();
  const auto network =
      load_network(options.out / "checkpoints" / "best.safetensors", "", session->stream);
  const auto expected = load_network(epoch_checkpoint(options.out, best), "", session->stream);
  CHECK(same_values(network->state(), expected->state()));

  // The numbers of the table are those of the checkpoints.
  EvaluationSet set(data::load_data(options.data).test, {.batch_size = 21}, *session);
  for (const int64_t epoch : {0, 1, 2}) {
    const auto at_epoch = load_network(epoch_checkpoint(options.out, epoch), "", session->stream);
    const Evaluation evaluation = set.evaluate(*at_epoch);
    CHECK(evaluation.loss == rows[static_cast<size_t>(epoch)].test_loss);
    CHECK(evaluation.score == rows[static_cast<size_t>(epoch)].test_score);
  }
}

TEST_CASE("train: which epochs are tested, and which checkpoints are kept") {
  const Fixture fixture;
  TrainOptions options = fixture.options("run");
  options.epochs = 5;
  options.test_every = 2;
  options.checkpoint_every = 3;
  const TrainResult result = run(options);
  CHECK(saved_epochs(options.out) == std::vector<int64_t>{0, 3, 5});
  REQUIRE(result.epochs.size() == 6);
  for (const EpochMetrics& row : read_metrics(options.out)) {
    CAPTURE(row.epoch);
    const bool tested = row.epoch % 2 == 0 || row.epoch == 5;
    CHECK(std::isnan(row.test_score) == !tested);
    CHECK(std::isnan(row.test_loss) == !tested);
    CHECK_FALSE(std::isnan(row.train_eval_score));
  }
  // What is looked at does not change what is trained.
  TrainOptions other = fixture.options("other");
  other.epochs = 5;
  run(other);
  CHECK(read_file(epoch_checkpoint(options.out, 5)) == read_file(epoch_checkpoint(other.out, 5)));
  TrainOptions ends = fixture.options("ends");
  ends.checkpoint_every = 0;
  run(ends);
  CHECK(saved_epochs(ends.out) == std::vector<int64_t>{0, 2});
}

TEST_CASE("train: the seed of the initial weights alone") {
  const Fixture fixture;
  const auto first = fixture.options("first");  // seed 5
  auto second = fixture.options("second");
  second.seed = second.data.seed = 6;
  second.init_seed = 5;
  auto third = fixture.options("third");
  third.seed = third.data.seed = 6;
  for (const TrainOptions& options : {first, second, third}) run(options);
  auto bytes = [](const TrainOptions& options, int64_t epoch) {
    const auto session = small_session();
    const auto network = load_network(epoch_checkpoint(options.out, epoch), "", session->stream);
    const auto* values = static_cast<const float*>(network->state().flat_values());
    return std::vector<float>(values, values + network->state().flat_size());
  };
  CHECK(bytes(first, 0) == bytes(second, 0));
  CHECK(bytes(first, 0) != bytes(third, 0));
  CHECK(bytes(first, 2) != bytes(second, 2));  // another order of the images
}

TEST_CASE("train: shuffled images, in training and in evaluation") {
  const Fixture fixture;
  const TrainOptions plain = fixture.options("plain");
  TrainOptions blocks = fixture.options("blocks"), whole = fixture.options("whole"),
               pixels = fixture.options("pixels"), other = fixture.options("other");
  blocks.block_shuffle = other.block_shuffle = 2;
  whole.block_shuffle = 8;  // one block: the image as it is
  pixels.pixel_shuffle = true;
  other.shuffle_seed = 1235;
  const double loss = run(plain).epochs.back().test_loss;
  CHECK(run(whole).epochs.back().test_loss == loss);
  const double of_blocks = run(blocks).epochs.back().test_loss;
  CHECK(of_blocks != loss);
  CHECK(run(other).epochs.back().test_loss != of_blocks);
  CHECK(run(pixels).epochs.back().test_loss != loss);
  const auto session = small_session();
  const auto network = load_network(blocks.out, "", session->stream);
  EvaluationSet set(data::load_data(blocks.data).test,
                    {.batch_size = 21, .block_size = 2, .shuffle_seed = 1234}, *session);
  CHECK(set.evaluate(*network).loss == of_blocks);
  TrainOptions wrong = fixture.options("wrong");
  wrong.block_shuffle = 3;
  CHECK(error_of([&] { run(wrong); }) != "");
  CHECK_FALSE(fs::exists(wrong.out));
}

TEST_CASE("train: learns what can be learnt") {
  const Fixture fixture;
  TrainOptions options = fixture.options("run");
  options.mixup = 0;
  options.augment = false;
  options.epochs = 12;
  options.schedule = {0.1, {}, 0.1};
  const TrainResult result = run(options);
  CHECK(result.epochs.back().train_loss < result.epochs[1].train_loss);
  CHECK(result.epochs.back().train_score > 0.6);
  CHECK(result.epochs.back().test_score > 0.6);
}

TEST_CASE("train: the same seed gives the same bits, on one thread and on two; another does not") {
  const Fixture fixture;
  run(fixture.options("a"));
  set_threads(2);
  run(fixture.options("b"));
  set_threads(1);
  check_same_run(fixture.folder.path / "a", fixture.folder.path / "b");
  TrainOptions other = fixture.options("c");
  other.seed = other.data.seed = 6;
  run(other);
  CHECK(run_bits(fixture.folder.path / "a").at("metrics.csv") !=
        run_bits(other.out).at("metrics.csv"));
}

TEST_CASE("train: stopped anywhere and resumed, a run ends with the same bits") {
  const Fixture fixture;
  for (const std::string model : {"fixup_resnet8", "resnet8"}) {
    CAPTURE(model);
    TrainOptions whole = fixture.options(std::string("whole-") + model);
    whole.model = model;
    const int64_t calls = calls_of(whole);
    RandomStream random(1, RandomPurpose::kNoise);
    int within_epochs = 0;
    constexpr int64_t kStops = 14;
    for (int64_t stop = 0; stop < kStops; ++stop) {
      // Somewhere in each fourteenth of the run.
      const int64_t call =
          stop * calls / kStops + 1 + random.below(static_cast<uint32_t>(calls / kStops));
      CAPTURE(call);
      TrainOptions options = whole;
      options.out = fixture.folder.path / concat(model, "-", call);
      const Ending ending = run_signalled(options, call, stop % 2 ? SIGTERM : SIGINT);
      // After the last batch of the last evaluation nothing asks for the signal any more.
      CHECK((ending == kStopped || (ending == kFinished && stop + 1 == kStops)));
      if (ending == kStopped) {
        CHECK_FALSE(is_done(options.out));
        const fs::path resume = options.out / "checkpoints" / "resume.safetensors";
        if (fs::exists(resume)) {
          Stream stream(Device::kCpu);
          const auto network =
              load_network(epoch_checkpoint(options.out, 0), "", stream, State::Use::kTraining);
          const auto metadata =
              load_checkpoint(network->state(), resume, {.skip = {}, .momentum = Momentum::kWith});
          const std::string position = metadata.at("position");
          within_epochs += position[position.find(' ') + 1] != '0';
        }
        options.resume = true;
        CHECK_FALSE(run(options).was_done);
      }
      check_same_run(whole.out, options.out);
      fs::remove_all(options.out);
    }
    CHECK(within_epochs >= 4);
  }
}

TEST_CASE("train: stopped again and again, a run gets done, and with the same bits") {
  const Fixture fixture;
  const TrainOptions whole = fixture.options("whole");
  const int64_t calls = calls_of(whole);
  TrainOptions options = fixture.options("stopped");
  options.resume = true;
  int stops = 0;
  // The first two stops leave nothing to go on with: the evaluation before the first update.
  for (int64_t call = 20; run_signalled(options, call) == kStopped; call += calls / 12) {
    REQUIRE(++stops < 40);
  }
  CHECK(stops >= 3);
  CHECK(is_done(options.out));
  check_same_run(whole.out, options.out);
}

TEST_CASE("train: killed anywhere and resumed, a run ends with the same bits") {
  const Fixture fixture;
  const TrainOptions whole = fixture.options("whole");
  const int64_t calls = calls_of(whole);
  TrainOptions options = fixture.options("killed");
  options.resume = true;
  for (const int64_t call : {int64_t{5}, calls * 4 / 10, calls * 5 / 10}) {
    CHECK(run_signalled(options, call, SIGKILL) == kKilled);
  }
  run(options);
  check_same_run(whole.out, options.out);
}

TEST_CASE("train: goes on from every state of the folder that a kill leaves") {
  const Fixture fixture;
  const TrainOptions whole = fixture.options("whole");
  const int64_t calls = calls_of(whole);
  TrainOptions options = fixture.options("run");
  const fs::path checkpoints = options.out / "checkpoints";
  options.resume = true;
  auto take = [&](const std::string& file) {
    fs::copy_file(whole.out / file, options.out / file, fs::copy_options::overwrite_existing);
  };

  SUBCASE("the folder is there, its config.json is not") {
    fs::create_directories(options.out);
    take("environment.json");
    write_file_atomically(options.out / "config.toml.partial", "# bas");
  }
  SUBCASE("no checkpoints yet") {
    fs::create_directories(options.out);
    for (const char* file : {"environment.json", "config.toml", "config.json"}) take(file);
  }
  SUBCASE("no resume checkpoint: begins anew") {
    REQUIRE(run_signalled(options, calls * 7 / 10) == kStopped);
    fs::remove(checkpoints / "resume.safetensors");
  }
  SUBCASE("between the files of an epoch's end") {
    // Stopped in the second epoch; then its files appear one after the other, the resume
    // checkpoint being the last.
    REQUIRE(run_signalled(options, calls * 6 / 10) == kStopped);
    REQUIRE_FALSE(fs::exists(epoch_checkpoint(options.out, 2)));
    take("checkpoints/epoch-0002.safetensors");
    SUBCASE("only the epoch's checkpoint") {}
    SUBCASE("the last one, too") {
      take("checkpoints/last.safetensors");
    }
    SUBCASE("and the best one") {
      take("checkpoints/last.safetensors");
      take("checkpoints/best.safetensors");
    }
    SUBCASE("and the metrics, which now have a row more than the resume checkpoint knows") {
      take("checkpoints/last.safetensors");
      take("checkpoints/best.safetensors");
      take("metrics.csv");
    }
  }
  SUBCASE("half-written files") {
    REQUIRE(run_signalled(options, calls * 6 / 10) == kStopped);
    for (const char* file : {"last", "best", "resume", "epoch-0002"}) {
      write_file_atomically(checkpoints / concat(file, ".safetensors.partial"), "half");
    }
    write_file_atomically(options.out / "metrics.csv.partial", "epoch,lea");
  }
  SUBCASE("all but the mark that it is done") {
    fs::copy(whole.out, options.out, fs::copy_options::recursive);
    fs::remove(options.out / "DONE");
  }

  CHECK_FALSE(run(options).was_done);
  CHECK(is_done(options.out));
  for (const auto& file : fs::directory_iterator(checkpoints)) {
    if (file.path().extension() == ".partial") fs::remove(file.path());
  }
  check_same_run(whole.out, options.out);
  CHECK(read_file(options.out / "config.json") == read_file(whole.out / "config.json"));
  CHECK(read_file(options.out / "config.toml") == read_file(whole.out / "config.toml"));
  CHECK(fs::exists(options.out / "environment.json"));
}

TEST_CASE("train: nothing is trained again when only the mark of a finished run is missing") {
  const Fixture fixture;
  run(fixture.options("whole"));
  TrainOptions options = fixture.options("run");
  // DONE cannot be written while a folder has the name of its temporary.
  fs::create_directories(options.out);
  REQUIRE(run_signalled(options, 1) == kStopped);
  fs::create_directories(options.out / "DONE.partial");
  options.resume = true;
  CHECK(contains(error_of([&] { run(options); }), "DONE"));
  REQUIRE_FALSE(is_done(options.out));
  fs::remove(options.out / "DONE.partial");
  CHECK(calls_of(options) == 0);
  CHECK(is_done(options.out));
  check_same_run(fixture.folder.path / "whole", options.out);
}

TEST_CASE("train: a finished run is not run again") {
  const Fixture fixture;
  TrainOptions options = fixture.options("run");
  const TrainResult first = run(options);
  const auto before = folder_bytes(options.out);
  for (const bool resume : {false, true}) {
    options.resume = resume;
    const TrainResult again = run(options);
    CHECK(again.was_done);
    REQUIRE(again.epochs.size() == first.epochs.size());
    CHECK(again.epochs.back().test_loss == first.epochs.back().test_loss);
    CHECK(folder_bytes(options.out) == before);
  }
}

TEST_CASE("train: another run's folder, an unfinished one, and a stranger's stay as they are") {
  const Fixture fixture;
  TrainOptions options = fixture.options("run");
  SUBCASE("done") {
    run(options);
  }
  SUBCASE("unfinished") {
    stop_in_second_epoch(fixture, options);
  }
  const auto before = folder_bytes(options.out);
  for (const bool resume : {false, true}) {
    options.resume = resume;
    TrainOptions other = options;
    other.schedule.base = 0.06;
    std::string error = error_of([&] { run(other); });
    CHECK(contains(error, options.out.string()));
    CHECK(contains(error, "other settings"));
    other = options;
    other.epochs = 3;
    CHECK(contains(error_of([&] { run(other); }), "other settings"));
    other = options;
    other.seed = 6;
    CHECK(contains(error_of([&] { run(other); }), "other settings"));
    CHECK(folder_bytes(options.out) == before);
  }
  if (!is_done(options.out)) {
    options.resume = false;
    const std::string error = error_of([&] { run(options); });
    CHECK(contains(error, options.out.string()));
    CHECK(contains(error, "--resume"));
    CHECK(folder_bytes(options.out) == before);
  }
  options = fixture.options("stranger");
  fs::create_directories(options.out);
  write_file_atomically(options.out / "letter.txt", "dear");
  for (const bool resume : {false, true}) {
    options.resume = resume;
    CHECK(contains(error_of([&] { run(options); }), "not a run folder"));
  }
  CHECK(folder_bytes(options.out).size() == 1);
}

TEST_CASE("train: a mistake in the call leaves no folder behind") {
  const Fixture fixture;
  auto refused = [&](const char* out, auto change, const char* part) {
    TrainOptions options = fixture.options(out);
    change(options);
    CHECK(contains(error_of([&] { run(options); }), part));
    CHECK_FALSE(fs::exists(fixture.folder.path / out));
  };
  refused(
      "a", [](TrainOptions& o) { o.data.spec = "idx:/nowhere"; }, "/nowhere");
  refused(
      "b", [](TrainOptions& o) { o.model = "resnet7"; }, "resnet7");
  refused(
      "c", [](TrainOptions& o) { o.init = "/nowhere.safetensors"; }, "/nowhere.safetensors");
  refused(
      "d", [](TrainOptions& o) { o.epochs = 0; }, "--epochs");
  refused(
      "e", [](TrainOptions& o) { o.batch_size = 0; }, "--batch-size");
  refused(
      "f", [](TrainOptions& o) { o.out.clear(); }, "--out");
}

TEST_CASE("train: fine-tuning takes over all but fc, for another number of classes, too") {
  const Fixture fixture(3);
  const TrainOptions source = fixture.options("source");
  run(source);
  write_tiny_data(fixture.folder.path / "target", 40, 20, 5);
  for (const char* data : {"data", "target"}) {
    TrainOptions options =
        tiny_options(fixture.folder.path / data, fixture.folder.path / concat("finetune-", data));
    options.init = (source.out / "checkpoints" / "last.safetensors").string();
    options.seed = options.data.seed = 9;
    run(options);
    Stream stream(Device::kCpu);
    const auto pretrained = load_network(source.out, "", stream);
    const auto start = load_network(epoch_checkpoint(options.out, 0), "", stream);
    const auto fresh = make_network(start->options(), DType::kF32, stream, State::Use::kTraining);
    fresh->initialize(9);
    CHECK(start->options().classes == (std::string(data) == "data" ? 3 : 5));
    for (const State::Entry& entry : start->state().entries()) {
      CAPTURE(entry.name);
      const bool fc = entry.name == "fc.weight" || entry.name == "fc.bias";
      const State::Entry* from = (fc ? fresh : pretrained)->state().find(entry.name);
      REQUIRE(from);
      REQUIRE(from->shape == entry.shape);
      CHECK(std::memcmp(from->tensor.data<float>(), entry.tensor.data<float>(),
                        static_cast<size_t>(entry.shape.elements()) * 4) == 0);
    }
    // And it is trained from there.
    const auto end = load_network(options.out, "", stream);
    CHECK_FALSE(same_values(start->state(), end->state()));
  }
}

TEST_CASE("train: images that are seen twice in training are evaluated once") {
  const TemporaryFolder folder;
  std::string csv = "Path,Cardiomegaly,Edema,Consolidation,Atelectasis,Pleural Effusion\n";
  const auto pixels = noise_pixels(40, 16);
  for (int i = 0; i < 40; ++i) {
    const std::string name = concat(i, ".png");
    data::write_png((folder.path / name).string(), &pixels[static_cast<size_t>(i) * 16 * 16 * 3],
                    16, 16);
    csv += concat(name, ",", i % 2, ",", i / 2 % 2, ",", i / 4 % 2, ",", i / 8 % 2, ",", i % 3 / 2,
                  "\n");
  }
  write_file_atomically(folder.path / "train.csv", csv);
  write_file_atomically(folder.path / "valid.csv", csv);
  TrainOptions options = tiny_options(folder.path, folder.path / "run");
  options.data.spec = "chexpert:" + folder.path.string();
  options.data.image_size = 16;
  options.data.train_size = options.data.test_size = 20;
  options.epochs = 1;
  options.mixup = 0;
  options.train_eval_size = 0;
  const EpochMetrics start = run(options).epochs[0];
  const auto session = small_session();
  const auto network = load_network(epoch_checkpoint(options.out, 0), "", session->stream);
  const data::DataSplits splits = data::load_data(options.data);
  REQUIRE(splits.train->size() > splits.train_evaluation->size());
  const auto loss_on = [&](std::shared_ptr<const data::Dataset> images) {
    return EvaluationSet(std::move(images), {.batch_size = 100}, *session).evaluate(*network).loss;
  };
  CHECK(start.train_eval_loss == loss_on(splits.train_evaluation));
  CHECK(start.train_eval_loss != loss_on(splits.train));
}

TEST_CASE("train: which images a run was trained on; runs from before images were held out") {
  const auto session = small_session();
  const TemporaryFolder folder;
  data::DataOptions data;
  data.spec = "fashion/mosaic";
  data.test_size = 10;
  auto images_of = [&](const std::string& rest) {
    write_file_atomically(folder.path / "config.json",
                          R"({"command": "train", "train-size": "30", "seed": "1")" + rest + "}");
    return load_run_data(data, folder.path, *session).train_evaluation->size();
  };
  CHECK(images_of(R"(, "split": "target", "paper": "false")") == 27);
  CHECK(images_of(R"(, "split": "target", "paper": "true")") == 30);
  CHECK(images_of(R"(, "split": "target")") == 30);
  CHECK(contains(error_of([&] { images_of(""); }), "does not say which training images"));
}

TEST_CASE("train: a loss that is no number is an error that names the epoch") {
  const Fixture fixture;
  TrainOptions options = fixture.options("run");
  options.schedule.base = 1e30;
  SUBCASE("seen by the next batch") {}
  SUBCASE("seen only by the evaluation") {
    options.batch_size = 60;
  }
  const std::string error = error_of([&] { run(options); });
  CHECK(contains(error, options.out.string()));
  CHECK(contains(error, "epoch 1"));
  CHECK(contains(error, "--lr"));
  CHECK_FALSE(is_done(options.out));
  CHECK(saved_epochs(options.out) == std::vector<int64_t>{0});
}

TEST_CASE("train: damage to an unfinished run is an error that names the file") {
  const Fixture fixture;
  TrainOptions options = fixture.options("run");
  stop_in_second_epoch(fixture, options);
  options.resume = true;
  const fs::path resume = options.out / "checkpoints" / "resume.safetensors";
  REQUIRE(fs::exists(resume));
  SUBCASE("a truncated resume checkpoint") {
    write_file_atomically(resume, read_file(resume).substr(0, 1000));
    CHECK(contains(error_of([&] { run(options); }), resume.string()));
  }
  SUBCASE("another checkpoint under its name") {
    fs::copy_file(epoch_checkpoint(options.out, 0), resume, fs::copy_options::overwrite_existing);
    CHECK(contains(error_of([&] { run(options); }), resume.string()));
  }
  SUBCASE("metrics with too few rows") {
    const std::string metrics = read_file(options.out / "metrics.csv");
    write_file_atomically(options.out / "metrics.csv", metrics.substr(0, metrics.find('\n') + 1));
    CHECK(contains(error_of([&] { run(options); }), "metrics.csv"));
  }
}
