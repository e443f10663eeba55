// CheXpert: its split, its label policy, its over-sampling, and files that are not as they should
// be.
#include <algorithm>

#include "data/image/image.h"
#include "data/shuffle.h"
#include "data/sources/chexpert_xray.h"
#include "data/subset.h"
#include "tests/data/fixtures.h"

using namespace basin;
using namespace basin::data;

namespace {

const std::string kHeader =
    "Path,Sex,Age,Frontal/Lateral,AP/PA,No Finding,Enlarged Cardiomediastinum,Cardiomegaly,Lung "
    "Opacity,Lung Lesion,Edema,Consolidation,Pneumonia,Atelectasis,Pneumothorax,Pleural "
    "Effusion,Pleural Other,Fracture,Support Devices\n";

// A row with the five findings as the file writes them; all others are positive.
std::string row(const std::string& path, const std::string& cardiomegaly, const std::string& edema,
                const std::string& consolidation, const std::string& atelectasis,
                const std::string& effusion) {
  return concat(path, ",Female,68,Frontal,AP,1.0,1.0,", cardiomegaly, ",1.0,1.0,", edema, ",",
                consolidation, ",1.0,", atelectasis, ",1.0,", effusion, ",1.0,1.0,1.0\n");
}

std::string image_name(int64_t i) {
  return concat("patient", i, "/view1_frontal.jpg");
}

// A grey picture with a bright bar, whose place tells which it is even after equalisation.
void write_xray(const std::string& path, int64_t number) {
  std::filesystem::create_directories(std::filesystem::path(path).parent_path());
  Bytes pixels(24 * 30);
  for (int64_t i = 0; i < 24 * 30; ++i) {
    const int64_t x = i % 30, y = i / 30;
    const bool bar = number % 12 * 2 <= x && x < number % 12 * 2 + 6;
    pixels[i] = static_cast<uint8_t>(3 * x + 2 * y + (bar ? 100 : 0));
  }
  REQUIRE(stbi_write_jpg(path.c_str(), 30, 24, 1, pixels.data(), 95));
}

const std::string kName = "CheXpert-v1.0-small";

constexpr int64_t kRows = 12, kTrain = 6, kTest = 4;

// Row i of train.csv: Cardiomegaly positive if i % 4 is 1; Edema uncertain for odd i; Consolidation
// uncertain if i % 3 is 0 and positive if i % 6 is 1; Atelectasis as Edema of i + 1; no effusion
// but in row 11.
std::string train_row(int64_t i, const std::string& front) {
  return row(front + "train/" + image_name(i), i % 4 == 1 ? "1.0" : "", i % 2 ? "-1.0" : "0.0",
             i % 3 == 0   ? "-1.0"
             : i % 6 == 1 ? "1.0"
                          : "",
             i % 2 ? "0.0" : "-1.0",
             i == 11 ? "1.0"
             : i % 2 ? "-1.0"
                     : "");
}
std::vector<float> train_labels(int64_t i) {
  return {i % 4 == 1 ? 1.0f : 0.0f, i % 2 ? 1.0f : 0.0f, i % 6 == 1 ? 1.0f : 0.0f,
          i % 2 ? 0.0f : 1.0f, i == 11 ? 1.0f : 0.0f};
}
bool comes_twice(int64_t i) {
  return i % 4 == 1 || i % 6 == 1;
}

// The release in small, in folder/kName.
void write_release(const DataFolder& folder, const std::string& front = kName + "/") {
  std::string train = kHeader, valid = kHeader;
  for (int64_t i = 0; i < kRows; ++i) {
    write_xray(folder.path(kName + "/train/" + image_name(i)), i);
    train += train_row(i, front);
  }
  write_xray(folder.path(kName + "/valid/" + image_name(0)), 3);
  valid += row(front + "valid/" + image_name(0), "0.0", "1.0", "0.0", "1.0", "0.0");
  write_text(folder.path(kName + "/train.csv"), train);
  write_text(folder.path(kName + "/valid.csv"), valid);
}

DataOptions release_options(const DataFolder& folder) {
  return {.spec = "chexpert:" + folder.path(kName),
          .data_dir = {},
          .image_size = 16,
          .train_size = kTrain,
          .test_size = kTest};
}

std::vector<float> labels_of(const Dataset& dataset, int64_t index) {
  std::vector<float> labels(dataset.classes());
  dataset.target(index, labels.data());
  return labels;
}

Bytes expected_pixels(const std::string& path) {
  Bytes pixels(16 * 16 * 3);
  render_xray(to_grey(decode_image(path)), 16, pixels.data());
  return pixels;
}

}  // namespace

TEST_CASE(
    "CheXpert is split by NumPy's permutation, with the paper's policy for uncertain labels") {
  for (const std::string& front : {kName + "/", std::string()}) {
    const DataFolder folder;
    write_release(folder, front);
    const DataSplits splits = load_data(release_options(folder));
    const Dataset& once = *splits.train_evaluation;
    CHECK(splits.train->multi_label());
    CHECK(splits.train->class_names() == std::vector<std::string>{"Cardiomegaly", "Edema",
                                                                  "Consolidation", "Atelectasis",
                                                                  "Pleural Effusion"});
    CHECK(splits.train->mean()[1] == 128.0f / 255.0f);
    CHECK(splits.train->stddev()[1] == 64.0f / 255.0f);
    REQUIRE(once.size() == kTrain);
    REQUIRE(splits.test->size() == kTest);
    const auto permutation = numpy_permutation(1234, kRows);
    CHECK(read_image(once, 0) != read_image(once, 1));
    int64_t at = 0;  // in the over-sampled set
    for (int64_t i = 0; i < kTrain + kTest; ++i) {
      const int64_t csv_row = permutation[i];
      CAPTURE(csv_row);
      const Bytes pixels = expected_pixels(folder.path(kName + "/train/" + image_name(csv_row)));
      if (i >= kTrain) {
        CHECK(labels_of(*splits.test, i - kTrain) == train_labels(csv_row));
        CHECK(read_image(*splits.test, i - kTrain) == pixels);
        continue;
      }
      CHECK(labels_of(once, i) == train_labels(csv_row));
      CHECK(read_image(once, i) == pixels);
      for (int copy = 0; copy < (comes_twice(csv_row) ? 2 : 1); ++copy, ++at) {
        REQUIRE(at < splits.train->size());
        CHECK(labels_of(*splits.train, at) == train_labels(csv_row));
        CHECK(read_image(*splits.train, at) == pixels);
      }
    }
    CHECK(at == splits.train->size());
    CHECK(at > kTrain);
    REQUIRE(splits.validation != nullptr);
    REQUIRE(splits.validation->size() == 1);
    CHECK(labels_of(*splits.validation, 0) == std::vector<float>{0, 1, 0, 1, 0});
    CHECK(read_image(*splits.validation, 0) ==
          expected_pixels(folder.path(kName + "/valid/" + image_name(0))));
  }
}

TEST_CASE("the folder of a CheXpert release may be renamed") {
  const DataFolder folder;
  write_release(folder);
  std::filesystem::rename(folder.path(kName), folder.path("xrays"));
  DataOptions options = release_options(folder);
  options.spec = "chexpert:" + folder.path("xrays");
  CHECK(load_data(options).test->size() == kTest);
}

TEST_CASE("a release's 223,414 rows give the paper's 50,000 training and 50,000 test images") {
  constexpr int64_t kOfficial = 223414, kImages = 16;
  const DataFolder folder;
  write_release(folder);
  for (int64_t i = 0; i < kImages; ++i) write_xray(folder.path(concat(kName, "/", i, ".jpg")), i);
  // The labels tell five bits of the row's number.
  const auto bit = [](int64_t i, int64_t b) { return (i >> b) % 2; };
  std::vector<std::string> rows;  // without the number of the image
  for (int64_t i = 0; i < 32; ++i) {
    const auto cell = [&](int64_t b) { return bit(i, b) ? "1.0" : "0.0"; };
    rows.push_back(row(".jpg", cell(0), cell(1), cell(2), cell(3), cell(4)));
  }
  std::string text = kHeader;
  for (int64_t i = 0; i < kOfficial; ++i) text += std::to_string(i % kImages) + rows[i % 32];
  write_text(folder.path(kName + "/train.csv"), text);
  DataOptions options = release_options(folder);
  options.train_size = 0;
  options.test_size = 50;
  const auto permutation = numpy_permutation(1234, kOfficial);
  const auto labels = [&](int64_t csv_row) {
    std::vector<float> values;
    for (int64_t b = 0; b < 5; ++b) values.push_back(static_cast<float>(bit(csv_row, b)));
    return values;
  };
  const DataSplits splits = load_data(options);
  REQUIRE(splits.train_evaluation->size() == 50000);
  REQUIRE(splits.test->size() == 50);
  bool same = true;
  int64_t repeated = 0;
  for (int64_t i = 0; i < 50000; ++i) {
    same = same && labels_of(*splits.train_evaluation, i) == labels(permutation[i]);
    repeated += bit(permutation[i], 0) || bit(permutation[i], 2);
  }
  CHECK(same);
  CHECK(splits.train->size() == 50000 + repeated);
  for (int64_t i = 0; i < 50; ++i) {
    CHECK(labels_of(*splits.test, i) == labels(permutation[50000 + i]));
  }
}

TEST_CASE("augmented X-rays are the prepared affine images, by their stream alone") {
  const DataFolder folder;
  write_release(folder);
  const DataSplits splits = load_data(release_options(folder));
  const int64_t csv_row = numpy_permutation(1234, kRows)[0];
  const GreyImage image =
      to_grey(decode_image(folder.path(kName + "/train/" + image_name(csv_row))));
  int changed = 0;
  for (uint32_t epoch = 0; epoch < 20; ++epoch) {
    const RandomStream random(5, RandomPurpose::kAugmentation, epoch);
    RandomStream same = random;
    Bytes expected(16 * 16 * 3), pixels(16 * 16 * 3);
    render_xray(apply_affine(image, random_affine(image.height, image.width, same)), 16,
                expected.data());
    splits.train->read_augmented(0, random, pixels.data());
    CHECK(pixels == expected);
    changed += pixels != read_image(*splits.train, 0);
  }
  CHECK(changed == 20);
}

TEST_CASE("a part of CheXpert's training images is drawn by the seed, before over-sampling") {
  const DataFolder folder;
  write_release(folder);
  DataOptions options = release_options(folder);
  options.train_size = 9;
  CHECK(contains(load_error(options), "12 rows are fewer than train_size 9"));
  options.train_size = 8;
  CHECK(load_data(options).train_evaluation->size() == 8);
  options.split = "target";
  CHECK(contains(load_error(options), "use split 'all'"));
}

TEST_CASE("CheXpert files that are cut off, damaged or lying are refused by file and line") {
  struct Case {
    std::string file, text, finding;
  };
  const std::string good = train_row(0, "") + train_row(1, "");
  const auto with = [&](const std::string& cell) {
    return kHeader + good + row("train/" + image_name(2), cell, "", "", "", "");
  };
  std::string short_row = train_row(2, "");
  short_row.resize(short_row.size() - 10);
  const std::string no_column =
      "Path,Sex,Age,Frontal/Lateral,AP/PA,No Finding,Enlarged Cardiomediastinum,Cardiomegaly\n";
  const Case cases[] = {
      {"train.csv", "", "the file is empty"},
      {"train.csv", "\n", "line 1 begins with ''"},
      {"train.csv", kHeader, "holds no images"},
      {"valid.csv", kHeader, "holds no images"},
      {"train.csv", good, "line 1 begins with 'train/patient0/view1_frontal.jpg'"},
      {"train.csv", no_column + good, "line 1 has no column 'Edema'"},
      {"train.csv", kHeader + good + short_row, "line 4 has 17 fields, the header 19"},
      {"train.csv", kHeader + good + "\n" + good, "line 4 has 1 fields"},
      {"train.csv", kHeader + good + train_row(2, "a,b"), "line 4 has 20 fields"},
      {"train.csv", kHeader + good + row("", "", "", "", "", ""), "line 4 names no image"},
      {"train.csv", with("2.0"),
       "line 4: Cardiomegaly is '2.0', expected 1.0, 0.0, -1.0 or nothing"},
      {"train.csv", with("1.0x"), "line 4: Cardiomegaly is '1.0x'"},
      {"train.csv", with("yes"), "line 4: Cardiomegaly is 'yes'"},
      {"train.csv", kHeader + row("x/y.jpg", "", "", "", "", ""), "none of its 1 images exists"},
      {"valid.csv", kHeader + row("x/y.jpg", "", "", "", "", ""), "none of its 1 images exists"},
  };
  for (const Case& c : cases) {
    CAPTURE(c.finding);
    const DataFolder folder;
    write_release(folder);
    write_text(folder.path(kName + "/" + c.file), c.text);
    const std::string error = load_error(release_options(folder));
    CAPTURE(error);
    CHECK(contains(error, folder.path(kName + "/" + c.file)));
    CHECK(contains(error, c.finding));
    CHECK(contains(error, "expects a release's folder"));
  }
  const DataFolder folder;
  write_release(folder);
  DataOptions options = release_options(folder);
  for (const auto& [train, test] : {std::pair{int64_t{0}, kTest}, std::pair{kTrain, int64_t{0}}}) {
    options.train_size = train;
    options.test_size = test;
    const std::string error = load_error(options);
    CHECK(contains(error, "12 rows; the paper's split is one of the 223414 rows"));
    CHECK(contains(error, "pass --train-size and --test-size"));
  }
  std::filesystem::remove(folder.path(kName + "/valid.csv"));
  CHECK(contains(load_error(options), "valid.csv: no such file"));
}

TEST_CASE("bad X-rays stop the load by name, or are left out or replaced when asked") {
  const DataFolder folder;
  write_release(folder);
  const auto permutation = numpy_permutation(1234, kRows);
  const auto path = [&](int64_t place) {
    return folder.path(kName + "/train/" + image_name(permutation[place]));
  };
  std::filesystem::remove(path(1));
  write_file(path(kTrain), {'n', 'o'});
  DataOptions options = release_options(folder);
  const std::string error = load_error(options);
  CHECK(contains(error, path(1) + ": no such file"));
  CHECK(contains(error, "1 of 6 images cannot be read"));
  CHECK(contains(error, "--skip-bad"));
  options.skip_bad = true;
  const DataSplits splits = load_data(options);
  CHECK(splits.train_evaluation->size() == kTrain - 1);
  CHECK(splits.test->size() == kTest - 1);
  CHECK(labels_of(*splits.train_evaluation, 1) == train_labels(permutation[2]));

  // Of the three test images left, the first two have the same labels, the third has none's.
  REQUIRE(labels_of(*splits.test, 0) == labels_of(*splits.test, 1));
  REQUIRE(labels_of(*splits.test, 0) != labels_of(*splits.test, 2));
  REQUIRE(read_image(*splits.test, 0) != read_image(*splits.test, 1));
  truncate(path(kTrain + 1), 0.5);
  truncate(path(kTrain + 3), 0.5);
  CHECK(read_image(*splits.test, 0) == read_image(*splits.test, 1));
  CHECK(contains(error_of([&] { read_image(*splits.test, 2); }), "nor any other image"));
}

TEST_CASE("a part of CheXpert keeps labels and the grey augmentation") {
  const DataFolder folder;
  write_release(folder);
  const auto whole = load_data(release_options(folder)).train_evaluation;
  const auto part = evenly_spaced(whole, 3);
  REQUIRE(part->size() == 3);
  CHECK(part->multi_label());
  for (int64_t i = 0; i < 3; ++i) {
    CHECK(labels_of(*part, i) == labels_of(*whole, 2 * i));
    CHECK(read_image(*part, i) == read_image(*whole, 2 * i));
  }
}
