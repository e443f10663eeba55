// The program: its exit codes, messages, JSON and configuration files, on a tiny training run.
#include <algorithm>
#include <nlohmann/json.hpp>
#include <regex>

#include "experiments/program/commands.h"
#include "experiments/program/csv.h"
#include "tests/experiments/program/program_runs.h"
#include "tests/experiments/report/synthetic_results.h"
#include "tests/experiments/tiny_data.h"
#include "tests/support/errors.h"
#include "tests/support/temporary_folder.h"

using namespace basin;
using namespace basin::test;

namespace {

struct Fixture {
  TemporaryFolder folder;
  std::string data = path("data");

  Fixture() { write_tiny_data(data, 60, 21, 3); }
  std::string path(const std::string& name) const { return (folder.path / name).string(); }
  std::string set() const { return "idx:" + data; }
  // Of a line: @NAME is a path in the folder, DATA the options of the data.
  std::vector<std::string> arguments(const std::string& line) const {
    const std::string with_data = std::regex_replace(line, std::regex("DATA"), "--data idx:@data");
    return words_of(std::regex_replace(with_data, std::regex("@"), path("")));
  }
  ProgramResult run(const std::string& line) const {
    return run_program(folder.path, arguments(line));
  }
  // On 60 images, the last of four batches partial.
  static std::string train(const std::string& out, const std::string& epochs = "2") {
    return "train --model fixup_resnet8 --width 4 DATA --batch-size 16 --lr 0.05 --mixup 0.5 "
           "--augment --threads 1 --epochs " +
           epochs + " --out @" + out;
  }
};

// Standard output as JSON; fails the test when anything else stands there.
nlohmann::json json_of(const ProgramResult& result) {
  CHECK(result.code == 0);
  INFO(result.out, result.error);
  REQUIRE(nlohmann::json::accept(result.out));
  return nlohmann::json::parse(result.out);
}

}  // namespace

TEST_CASE("program: version, help, and wrong usage") {
  const Fixture fixture;
  const ProgramResult version = fixture.run({"--version"});
  CHECK(version.code == 0);
  CHECK(contains(version.out, "basin "));
  const ProgramResult help = fixture.run({"--help"});
  CHECK(help.code == 0);
  CHECK(contains(help.out, "--plan-file"));
  CHECK(contains(help.out, "=" + default_plan_file()));
  for (const auto& [name, command] : all_commands()) {
    CAPTURE(name);
    CHECK(contains(help.out, name));
    const ProgramResult of_command = fixture.run(name + " --help");
    CHECK(of_command.code == 0);
    CHECK(contains(of_command.out, command.help));
  }
  for (const std::string& wrong :
       {std::string(), std::string("fly"), std::string("train"),
        "--threads 0 " + fixture.train("run"), fixture.train("run") + " --wings 2",
        fixture.train("run") + " --image-size two",
        "--config /nowhere.toml " + fixture.train("run")}) {
    const ProgramResult result = fixture.run(wrong);
    CHECK(result.code == 2);
    CHECK(result.out == "");
    CHECK(result.error != "");
  }
  CHECK_FALSE(fs::exists(fixture.path("run")));
}

TEST_CASE("program: missing and damaged files are named") {
  const Fixture fixture;
  REQUIRE(fixture.run(fixture.train("run")).code == 0);
  auto failed = [&](const std::string& line, const std::string& name) {
    const ProgramResult result = fixture.run(line);
    CHECK(result.code == 1);
    CHECK(result.out == "");
    CAPTURE(result.error);
    CHECK(contains(result.error, name));
  };
  const std::string missing = fixture.path("missing.safetensors");
  failed("eval --checkpoint @missing.safetensors DATA", missing);
  failed("distance @run @missing.safetensors", missing);
  failed("eval --checkpoint @run --data idx:@none", fixture.path("none"));
  failed("interpolate --from @missing.safetensors --to @missing.safetensors DATA --out @line",
         missing);
  CHECK_FALSE(fs::exists(fixture.path("line")));
  failed("rewind --run @run DATA --to-epoch 7 --out @rewound", "epoch 7");
  CHECK_FALSE(fs::exists(fixture.path("rewound")));

  const std::string last = read_file(fixture.path("run/checkpoints/last.safetensors"));
  for (const size_t size : {size_t{0}, size_t{5}, size_t{100}, last.size() - 1}) {
    write_file_atomically(missing, last.substr(0, size));
    failed("eval --checkpoint @missing.safetensors DATA", missing);
  }
  const std::string images = fixture.data + "/train-images-idx3-ubyte";
  write_file_atomically(images, read_file(images).substr(0, 500));
  failed(fixture.train("other"), images);
  failed("data DATA", images);
}

TEST_CASE("program: every command on a tiny run, with JSON alone on standard output") {
  const Fixture fixture;
  const auto trained = json_of(fixture.run(fixture.train("run") + " --json"));
  CHECK(trained["epochs"] == 2);
  const ProgramResult again = fixture.run(fixture.train("run") + " --json");
  CHECK(json_of(again) == trained);
  CHECK(contains(again.error, "done already"));
  REQUIRE(fixture.run(fixture.train("second") + " --seed 2").code == 0);

  const auto evaluated = json_of(fixture.run("--json eval --checkpoint @run DATA"));
  CHECK(evaluated["images"] == 21);
  CHECK(evaluated["loss"] == trained["final"]["test_loss"]);
  CHECK(evaluated["accuracy"] == trained["final"]["test_accuracy"]);

  const std::string line = "interpolate --from @run --to @second DATA --points 5 --json";
  const auto barrier = json_of(fixture.run(line + " --out @line"));
  CHECK(barrier["barrier_accuracy"] >= 0);
  CHECK(barrier["barrier_loss"] >= 0);
  const CsvTable points = CsvTable::read(fixture.path("line/interpolation.csv"));
  REQUIRE(points.row_count() == 5);
  CHECK(*points.number(0, "loss") == evaluated["loss"]);
  // Beyond the ends, on a grid that meets neither of them: no barrier, but no failure either.
  const auto beyond = json_of(fixture.run(line + " --range -0.3,1.2 --out @beyond"));
  CHECK_FALSE(beyond.contains("barrier_loss"));
  CHECK(*CsvTable::read(fixture.path("beyond/interpolation.csv")).number(0, "lambda") == -0.3);

  const auto rewound = json_of(fixture.run("rewind --run @run DATA --out @rewound --json"));
  REQUIRE(rewound.size() == 6);  // none, conv1, three blocks, fc
  CHECK(rewound[0]["module"] == "none");
  CHECK(rewound[0]["loss"] == evaluated["loss"]);
  const auto several = json_of(
      fixture.run("rewind --run @run DATA --to-epoch 1,0 --random-draws 2 --out @several --json"));
  REQUIRE(several.size() == 1 + 4 * 5);
  CHECK(several[0]["to"] == "");
  CHECK(several[0]["draw"].is_null());
  CHECK(several[1]["to"] == "1");
  CHECK(several[6]["to"] == "0");
  CHECK(several[6]["loss"] == rewound[1]["loss"]);
  for (const int row : {11, 16}) CHECK(several[row]["to"] == "random");
  CHECK(several[11]["draw"] == 1);
  CHECK(several[16]["draw"] == 2);
  CHECK(several[11]["loss"] != several[16]["loss"]);
  CHECK(several[11]["loss"] != several[6]["loss"]);

  const auto critical =
      json_of(fixture.run("criticality --run @run DATA --modules conv1,fc --images 30 --distances "
                          "3 --noise-levels 3 --tolerance 9 --out @critical --json"));
  CHECK(critical["images"] == 30);
  CHECK(critical["loss_limit"] >= critical["end_loss"]);
  CHECK(CsvTable::read(fixture.path("critical/heat.csv")).row_count() == 2 * 2 * 9);
  CHECK(CsvTable::read(fixture.path("critical/criticality.csv")).row_count() == 4);

  const std::string basin =
      "extent --from @run --to @second DATA --step 0.5 --noise-draws 2 --json";
  const auto extent = json_of(fixture.run(basin + " --epsilon 0.001 --out @extent"));
  const CsvTable extent_line = CsvTable::read(fixture.path("extent/extent.csv"));
  REQUIRE(extent_line.row_count() == 7);
  CHECK(*extent_line.number(2, "loss") == evaluated["loss"]);
  CHECK(*extent_line.number(2, "error") ==
        doctest::Approx(1 - evaluated["accuracy"].get<double>()));
  CHECK(extent["condition_1"] == (extent["epsilon"] <= 0.001));
  CHECK(extent["delta"].is_null() == extent.contains("reason"));
  CHECK((CsvTable::read(fixture.path("extent/deltas.csv")).row_count() > 0) ==
        extent["condition_1"]);
  const ProgramResult same =
      fixture.run("extent --from @run --to @run/checkpoints/last.safetensors DATA --out @same");
  CHECK(same.code == 1);
  CHECK(contains(same.error, "same weights"));

  const auto distance = json_of(fixture.run("distance @run @second --json"));
  CHECK(distance[0]["module"] == "all");
  CHECK(distance[0]["distance"] > 0);
  CHECK(distance[0]["relative"] > 0);
  CHECK(distance[0]["per_root_parameter"] > 0);
  CHECK(distance.size() == 7);

  const auto data = json_of(fixture.run("data DATA --sheet @sheet.png --json"));
  CHECK(data["train_images"] == 60);
  CHECK(data["classes"].size() == 3);
  CHECK(read_file(fixture.path("sheet.png")).substr(1, 3) == "PNG");

  write_synthetic_results(fixture.path("results"), 3);
  const auto report = json_of(fixture.run("report @results --json"));
  CHECK(fs::exists(report["report"].get<std::string>()));
}

TEST_CASE("program: bench, its tables and its trace") {
  const Fixture fixture;
  const std::string bench =
      "bench --model fixup_resnet8 --width 4 --classes 3 --image-size 8 --batch-size 4 --steps 2 "
      "--warmup 1 --threads 1";
  const auto trained =
      json_of(fixture.run(bench + " --by-shape --trace @trace.json --csv @calls.csv --json"));
  CHECK(trained["step_seconds"].size() == 2);
  CHECK(trained["cpu_seconds"].size() == 2);
  CHECK(trained["width"] == 4);
  CHECK(trained["peaks"]["copy_bytes_per_second"] > 0);
  CHECK(trained["roofline"].size() == 5);
  int64_t calls = 0;
  double seconds = 0;
  for (const auto& row : trained["calls"]) {
    calls += row["count"].get<int64_t>();
    seconds += row["seconds"].get<double>();
  }
  const double in_calls = trained["observed_step"]["call_seconds"];
  CHECK(seconds == doctest::Approx(in_calls));
  CHECK(in_calls + trained["observed_step"]["host_seconds"].get<double>() ==
        doctest::Approx(trained["observed_step"]["seconds"].get<double>()));

  const auto trace = nlohmann::json::parse(read_file(fixture.path("trace.json")));
  int64_t events = 0;
  for (const auto& event : trace["traceEvents"]) events += event.value("cat", "") == "call";
  CHECK(events == calls);

  const CsvTable csv = CsvTable::read(fixture.path("calls.csv"));
  REQUIRE(csv.row_count() == trained["calls"].size());
  for (size_t i = 0; i < csv.row_count(); ++i) {
    CHECK(csv.text(i, "name") == trained["calls"][i]["name"]);
    CHECK(csv.text(i, "geometry") == trained["calls"][i]["geometry"]);
    CHECK(csv.number(i, "bytes") == trained["calls"][i]["bytes"].get<double>());
  }

  // As text, by kind of call; evaluation has no backward.
  const ProgramResult evaluated = fixture.run(bench + " --mode eval");
  CHECK(evaluated.code == 0);
  for (const char* part : {"fixup_resnet8 eval, batch 4 of 8x8, 3 classes", "images/s", "copy",
                           "conv2d_forward", "all calls", "as run", "folded"}) {
    CAPTURE(part);
    CHECK(contains(evaluated.out, part));
  }
  CHECK_FALSE(contains(evaluated.out, "backward"));
  CHECK_FALSE(contains(evaluated.out, "captured"));
  const ProgramResult emulated = fixture.run(bench + " --device emulated --no-graph");
  CHECK(emulated.code == 0);
  CHECK(contains(emulated.out, "captured  not timed: --no-graph"));
  const ProgramResult bad = fixture.run(bench + " --batch-size 0");
  CHECK(bad.code != 0);
}

TEST_CASE("program: comparisons of networks, and their folders") {
  const Fixture fixture;
  const std::string a = fixture.path("a"), b = fixture.path("b");
  REQUIRE(fixture.run(fixture.train("a")).code == 0);
  REQUIRE(fixture.run(fixture.train("b") + " --seed 2").code == 0);

  const std::string cka = "cka @a @b DATA --batch-size 6 --out @cka --json";
  const auto similarity = json_of(fixture.run(cka));
  CHECK(similarity["images"] == 18);  // of 21: the last three make no batch
  CHECK(similarity["dropped_images"] == 3);
  CHECK(similarity["batch_size"] == 6);
  REQUIRE(similarity["modules"].size() == 4);
  const CsvTable stages = CsvTable::read(fixture.path("cka/cka.csv"));
  CHECK(stages.columns() == std::vector<std::string>{"module", "cka", "aligned_cka"});
  REQUIRE(stages.row_count() == 4);
  CHECK(stages.text(0, "module") == "conv1");
  CHECK(stages.text(3, "module") == "layer3");
  CHECK(fs::exists(fixture.path("cka/DONE")));
  const ProgramResult again = fixture.run(cka);
  CHECK(contains(again.error, "done already"));
  CHECK(json_of(again) == similarity);
  const ProgramResult other = fixture.run("cka @b @a DATA --batch-size 6 --out @cka");
  CHECK(other.code == 1);
  CHECK(contains(other.error, "other settings"));
  CHECK(fixture.run("cka @a @b DATA --batch-size 3 --out @small").code == 2);

  const auto mistakes = json_of(fixture.run("mistakes @a @b DATA --out @mistakes --json"));
  const auto evaluate = [&](const std::string& run) {
    return json_of(fixture.run("eval --checkpoint " + run + " DATA --json"))
        .at("accuracy")
        .get<double>();
  };
  const CsvTable counts = CsvTable::read(fixture.path("mistakes/mistakes.csv"));
  REQUIRE(counts.row_count() == 1);
  CHECK(counts.text(0, "label") == "all");
  CHECK(*counts.number(0, "items") == 21);
  const double both = *counts.number(0, "both_wrong"),
               only_first = *counts.number(0, "only_first_wrong"),
               only_second = *counts.number(0, "only_second_wrong");
  CHECK(both + only_first == doctest::Approx(21 * (1 - evaluate(a))).epsilon(1e-12));
  CHECK(both + only_second == doctest::Approx(21 * (1 - evaluate(b))).epsilon(1e-12));
  const double mistaken = both + only_first + only_second;
  REQUIRE(mistaken > 0);
  CHECK(mistakes["common"].get<double>() == both / 21);
  CHECK(mistakes["uncommon_of_mistakes"].get<double>() == (only_first + only_second) / mistaken);
  const CsvTable pictures = CsvTable::read(fixture.path("mistakes/pictures.csv"));
  CHECK(pictures.columns() ==
        std::vector<std::string>{"sheet", "position", "index", "true", "first", "second"});
  CHECK(pictures.row_count() == static_cast<size_t>(mistaken));  // all fit on the sheets
  for (size_t i = 0; i < pictures.row_count(); ++i) {
    const std::string sheet = pictures.text(i, "sheet"), truth = pictures.text(i, "true");
    CHECK((pictures.text(i, "first") != truth) == (sheet != "only_second_wrong"));
    CHECK((pictures.text(i, "second") != truth) == (sheet != "only_first_wrong"));
    CHECK(truth == std::to_string(static_cast<int>(*pictures.number(i, "index")) % 3));
  }
  for (const auto& [sheet, count] : {std::pair{"both_wrong", both},
                                     {"only_first_wrong", only_first},
                                     {"only_second_wrong", only_second}}) {
    CHECK(fs::exists(fixture.path("mistakes/") + sheet + ".png") == (count > 0));
  }

  const auto ranks = json_of(fixture.run("spectrum one=@a @b --out @spectrum --json"));
  REQUIRE(ranks.size() == 12);  // all, conv1, three blocks, fc, of each
  CHECK(ranks[0]["network"] == "one");
  CHECK(ranks[0]["module"] == "all");
  CHECK(ranks[6]["network"] == b);
  const CsvTable values = CsvTable::read(fixture.path("spectrum/spectrum.csv"));
  CHECK(values.columns() == std::vector<std::string>{"network", "module", "index", "value"});
  CHECK(*values.number(0, "value") == ranks[0]["spectral_norm"].get<double>());
  // The settings written beside the result run the same analysis.
  write_file_atomically(fixture.path("again.toml"),
                        read_file(fixture.path("spectrum/config.toml")));
  const ProgramResult repeated =
      fixture.run("--json --config @again.toml spectrum --out @spectrum");
  CHECK(contains(repeated.error, "done already"));
  CHECK(json_of(repeated) == ranks);

  const auto distance = json_of(fixture.run("distance @a @b --out @distance --json"));
  const CsvTable rows = CsvTable::read(fixture.path("distance/distance.csv"));
  REQUIRE(rows.row_count() == distance.size());
  CHECK(*rows.number(0, "relative") == distance[0]["relative"].get<double>());
}

TEST_CASE("program: settings of a file, which the command line overrules") {
  const Fixture fixture;
  write_file_atomically(fixture.path("settings.toml"),
                        "threads = 1\n[train]\nmodel = \"fixup_resnet8\"\nwidth = 4\ndata = \"" +
                            fixture.set() +
                            "\"\nepochs = 7\nbatch-size = 20\nlr-milestones = [1, 2]\n"
                            "augment = true\n");
  const ProgramResult result = fixture.run("--config @settings.toml train --epochs 1 --out @run");
  CAPTURE(result.error);
  REQUIRE(result.code == 0);
  const auto config = nlohmann::json::parse(read_file(fixture.path("run/config.json")));
  CHECK(config["epochs"] == "1");
  CHECK(config["batch-size"] == "20");
  CHECK(config["width"] == "4");
  CHECK(config["lr-milestones"] == "1,2");
  CHECK(config["augment"] == "true");
  CHECK(config["seed"] == "1");

  write_file_atomically(fixture.path("misspelt.toml"), "[train]\nbatchsize = 20\n");
  const ProgramResult misspelt = fixture.run("--config @misspelt.toml " + fixture.train("other"));
  CHECK(misspelt.code == 2);
  CHECK(contains(misspelt.error, "batchsize"));
}

TEST_CASE("program: the config.toml of a run repeats it") {
  const Fixture fixture;
  REQUIRE(
      fixture.run(fixture.train("run") + " --lr-milestones 1,2 --seed 4 --train-size 50").code ==
      0);
  const ProgramResult result = fixture.run("--config @run/config.toml train --out @repeated");
  CAPTURE(result.error);
  REQUIRE(result.code == 0);
  check_same_run(fixture.path("run"), fixture.path("repeated"));
  CHECK(read_file(fixture.path("run/config.json")) ==
        read_file(fixture.path("repeated/config.json")));

  // Of an analysis, too.
  const std::string critical =
      "criticality --run @run DATA --modules conv1,fc --distances 2 --noise-levels 2 --scalar-only "
      "--out @critical";
  REQUIRE(fixture.run(critical).code == 0);
  const ProgramResult repeated =
      fixture.run("--config @critical/config.toml criticality --out @critical2");
  CAPTURE(repeated.error);
  REQUIRE(repeated.code == 0);
  for (const char* name : {"config.json", "criticality.csv", "result.json"}) {
    CHECK(read_file(fixture.path("critical") + "/" + name) ==
          read_file(fixture.path("critical2") + "/" + name));
  }
}

TEST_CASE("program: a signal ends it with code 75, and --resume goes on") {
  const Fixture fixture;
  REQUIRE(fixture.run(fixture.train("whole", "40")).code == 0);
  for (const int signal : {SIGTERM, SIGINT}) {
    const std::string out = concat("run-", signal);
    const Program program(fixture.folder.path, fixture.arguments(fixture.train(out, "40")));
    for (int wait = 0; wait < 2000 && !fs::exists(fixture.path(out) + "/metrics.csv"); ++wait) {
      sleep_milliseconds(5);
    }
    program.send(signal);
    if (signal == SIGTERM) program.send(signal);  // asks for the same
    const ProgramResult stopped = program.wait();
    CAPTURE(stopped.error);
    REQUIRE(stopped.code == 75);
    CHECK(stopped.out == "");
    const ProgramResult refused = fixture.run(fixture.train(out, "40"));
    CHECK(refused.code == 1);
    CHECK(contains(refused.error, "--resume"));
    CHECK(fixture.run(fixture.train(out, "40") + " --resume").code == 0);
    check_same_run(fixture.path("whole"), fixture.path(out));
  }
}

TEST_CASE("program: paper does not take results of one preset for those of another") {
  const TemporaryFolder folder;
  const fs::path out = folder.path / "results";
  fs::create_directories(out / "runs" / "pretrain");
  write_file_atomically(out / "runs" / "pretrain" / "DONE", "");
  write_file_atomically(out / "plan.json", R"({"preset": "smoke"})");
  const auto before = folder_bytes(out);
  const ProgramResult result =
      run_program(folder.path, {"paper", "--preset", "demo", "--out", out.string()});
  CHECK(result.code == 1);
  CHECK(contains(result.error, "--preset smoke"));
  CHECK(contains(result.error, out.string()));
  CHECK(folder_bytes(out) == before);
}

TEST_CASE("program: paper does not mix precisions") {
  const TemporaryFolder folder;
  const fs::path out = folder.path / "results";
  fs::create_directories(out);
  write_file_atomically(out / "plan.json", R"({"preset": "smoke", "precision": "bf16"})");
  const auto before = folder_bytes(out);
  const ProgramResult result = run_program(
      folder.path, {"paper", "--preset", "smoke", "--out", out.string(), "--device", "cpu"});
  CHECK(result.code == 1);
  CHECK(contains(result.error, "holds results of networks in bf16, not in fp32"));
  CHECK(contains(result.error, "Add --precision bf16"));
  CHECK(folder_bytes(out) == before);
}

TEST_CASE("program: a run on the emulated device measures what the CPU does") {
  const Fixture fixture;
  for (const std::string device : {"cpu", "emulated"}) {
    const ProgramResult result = fixture.run(fixture.train(device, "1") + " --device " + device);
    CHECK(result.code == 0);
    CHECK(contains(result.error, "device: " + device));
    const auto environment =
        nlohmann::json::parse(read_file(fixture.path(device) + "/environment.json"));
    CHECK(environment.value("device", "") == device);
  }
  const CsvTable cpu = CsvTable::read(fixture.path("cpu") + "/metrics.csv");
  const CsvTable emulated = CsvTable::read(fixture.path("emulated") + "/metrics.csv");
  REQUIRE(emulated.row_count() == cpu.row_count());
  for (size_t row = 0; row < cpu.row_count(); ++row) {
    for (const char* column : {"train_loss", "test_loss", "train_eval_loss"}) {
      const auto expected = cpu.number(row, column), actual = emulated.number(row, column);
      REQUIRE(actual.has_value() == expected.has_value());
      // Four steps: tests/engine/device.cpp derives how far roundings carry.
      if (expected) CHECK(*actual == doctest::Approx(*expected).epsilon(1e-5));
    }
  }
}

TEST_CASE("program: a run in bf16 on the emulated device, and in no other precision by chance") {
  const Fixture fixture;
  const std::string in_bf16 = " --device emulated --precision bf16";
  const auto train = fixture.train("half", "1");
  const ProgramResult half = fixture.run(train + in_bf16);
  CAPTURE(half.error);
  REQUIRE(half.code == 0);
  REQUIRE(fixture.run(fixture.train("single", "1") + " --device cpu").code == 0);
  for (const auto& [run, precision] : {std::pair("half", "bf16"), std::pair("single", "fp32")}) {
    const auto config =
        nlohmann::json::parse(read_file(fixture.path(std::string(run) + "/config.json")));
    CHECK(config.value("precision", "") == precision);
    CHECK(contains(read_file(fixture.path(std::string(run) + "/log.txt")), precision));
  }
  // Four steps, each rounded to 8 bits: tests/engine/bf16.cpp derives how far that may carry.
  const CsvTable cpu = CsvTable::read(fixture.path("single") + "/metrics.csv");
  const CsvTable emulated = CsvTable::read(fixture.path("half") + "/metrics.csv");
  REQUIRE(emulated.row_count() == cpu.row_count());
  for (const char* column : {"test_loss", "train_eval_loss"}) {
    for (size_t row = 0; row < cpu.row_count(); ++row) {
      CHECK(*emulated.number(row, column) ==
            doctest::Approx(*cpu.number(row, column)).epsilon(0.03));
      CHECK(*emulated.number(row, column) != *cpu.number(row, column));
    }
  }
  // Evaluated in bf16, the checkpoint has the loss that training measured.
  const ProgramResult evaluated = fixture.run("eval --checkpoint @half DATA --json" + in_bf16);
  CAPTURE(evaluated.error);
  REQUIRE(evaluated.code == 0);
  CHECK(nlohmann::json::parse(evaluated.out).value("loss", 0.0) ==
        *emulated.number(emulated.row_count() - 1, "test_loss"));
  // The finished run, and an unfinished one, in another precision; then in the same.
  for (const bool unfinished : {false, true}) {
    if (unfinished) fs::remove(fixture.path("half/DONE"));
    const auto before = folder_bytes(fixture.path("half"));
    const ProgramResult refused = fixture.run(train + " --resume --device emulated");
    CHECK(refused.code == 1);
    CHECK(contains(refused.error, "holds a run in bf16, not in fp32"));
    CHECK(contains(refused.error, "--precision bf16"));
    CHECK(folder_bytes(fixture.path("half")) == before);
    CHECK(fixture.run(train + in_bf16 + " --resume").code == 0);
  }
}

TEST_CASE("program: a precision that the device does not compute in is one clear line") {
  const Fixture fixture;
  struct Case {
    const char *device, *precision, *says;
  };
  for (const auto& [device, precision, says] :
       {Case{"cpu", "bf16", "--precision bf16: the CPU computes in fp32"},
        Case{"cpu", "tf32", "the device cpu has no tensor cores"},
        Case{"emulated", "tf32", "the device emulated has no tensor cores"}}) {
    const ProgramResult result = fixture.run(fixture.train("run", "1") + " --device " + device +
                                             " --precision " + precision);
    CHECK(result.code == 1);
    CHECK(contains(result.error, says));
    CHECK(contains(result.error, "Use --precision fp32"));
    CHECK(std::count(result.error.begin(), result.error.end(), '\n') == 1);
    CHECK(!fs::exists(fixture.path("run")));
  }
  CHECK(fixture.run(fixture.train("run", "1") + " --precision fp16").code == 2);
}

#ifndef BASIN_CUDA
TEST_CASE("program: a device that there is not is one clear line") {
  const Fixture fixture;
  const ProgramResult none = fixture.run("eval --checkpoint @x DATA --device cuda");
  CHECK(none.code == 1);
  CHECK(contains(none.error, "built without CUDA"));
  CHECK(contains(none.error, "--device cpu"));
  CHECK(std::count(none.error.begin(), none.error.end(), '\n') == 1);
  const ProgramResult unknown = fixture.run("eval --checkpoint @x DATA --device gpu");
  CHECK(unknown.code == 2);
  CHECK(contains(unknown.error, "emulated"));
}
#endif
