// DomainNet by its lists: labels, sub-sampling, and lists that are not as they should be.
#include <map>

#include "data/shuffle.h"
#include "tests/data/fixtures.h"

using namespace basin;
using namespace basin::data;

namespace {

// Labels are not in the order of the folders' names: the official lists number classes without
// regard to capitals.
const char* const kTrainList =
    "sketch/ant/0.png 0\n"
    "sketch/ant/1.jpg 0\n"
    "sketch/bee/0.png 1\n"
    "sketch/bee/1.png 1\n"
    "sketch/The_Mona_Lisa/0.png 2\n"
    "sketch/The_Mona_Lisa/1.png 2\n";
const char* const kTestList = "sketch/bee/2.png 1\nsketch/ant/2.png 0\n";

void write_domain(const DataFolder& folder) {
  const std::map<std::string, int> colours = {{"ant", 10}, {"bee", 20}, {"The_Mona_Lisa", 30}};
  for (const auto& [name, red] : colours) {
    for (int i = 0; i < 3; ++i) {
      const std::string type = name == "ant" && i == 1 ? ".jpg" : ".png";
      write_flat(folder.path(concat("sketch/", name, "/", i, type)), static_cast<uint8_t>(red + i));
    }
  }
  write_text(folder.path("sketch_train.txt"), kTrainList);
  write_text(folder.path("sketch_test.txt"), kTestList);
}

DataOptions domain_options(const DataFolder& folder) {
  return {.spec = "domainnet:" + folder.path("sketch"), .data_dir = {}, .image_size = 16};
}

}  // namespace

TEST_CASE("DomainNet's lists give images, labels and the names of the classes") {
  const DataFolder folder;
  write_domain(folder);
  for (const std::string end : {"", "/"}) {
    DataOptions options = domain_options(folder);
    options.spec += end;
    const DataSplits splits = load_data(options);
    CHECK(splits.train->class_names() == std::vector<std::string>{"ant", "bee", "The_Mona_Lisa"});
    REQUIRE(splits.train->size() == 6);
    REQUIRE(splits.test->size() == 2);
    CHECK(splits.train_evaluation == splits.train);
    CHECK(splits.validation == nullptr);
    for (int64_t i = 0; i < 6; ++i) {
      CHECK(splits.train->label(i) == i / 2);
      CHECK(std::abs(read_image(*splits.train, i)[0] - (10 + i / 2 * 10 + i % 2)) <= 3);
    }
    CHECK(splits.test->label(0) == 1);
    CHECK(read_image(*splits.test, 0)[0] == 22);
    CHECK(read_image(*splits.test, 1)[0] == 12);
    CHECK(splits.train->mean()[0] == 0.485f);
    CHECK(splits.train->stddev()[2] == 0.225f);
  }
  DataOptions options = domain_options(folder);
  options.split = "source";  // five sixths of two images: one
  const auto source = load_data(options).train;
  options.split = "target";
  const auto target = load_data(options).train;
  REQUIRE(source->size() == 3);
  REQUIRE(target->size() == 3);
  CHECK(read_image(*source, 1)[0] == 20);
  CHECK(read_image(*target, 1)[0] == 21);
}

TEST_CASE(
    "DomainNet lists of more than 50,000 rows are sampled as in the paper, in NumPy's order") {
  constexpr int64_t kTrainRows = 50003, kTestRows = 50000, kClasses = 97;
  const DataFolder folder;
  for (int64_t c = 0; c < kClasses; ++c) {
    write_flat(folder.path(concat("sketch/", c, "/x.png")), static_cast<uint8_t>(c));
  }
  // The label tells the row, as far as 97 classes can.
  const auto list = [&](int64_t rows) {
    std::string text;
    for (int64_t i = 0; i < rows; ++i)
      text += concat("sketch/", i % kClasses, "/x.png ", i % kClasses, "\n");
    return text;
  };
  write_text(folder.path("sketch_train.txt"), list(kTrainRows));
  write_text(folder.path("sketch_test.txt"), list(kTestRows));
  const DataSplits splits = load_data(domain_options(folder));
  REQUIRE(splits.train->size() == 50000);
  REQUIRE(splits.test->size() == 50000);
  const auto permutation = numpy_permutation(2020, kTrainRows);
  bool sampled = true, in_order = true;
  for (int64_t i = 0; i < 50000; ++i) {
    sampled = sampled && splits.train->label(i) == permutation[i] % kClasses;
    in_order = in_order && splits.test->label(i) == i % kClasses;
  }
  CHECK(sampled);
  CHECK(in_order);
  CHECK(read_image(*splits.train, 49999)[0] == permutation[49999] % kClasses);
}

TEST_CASE("DomainNet lists that are cut off, damaged or lying are refused by file and line") {
  struct Case {
    const char* file;
    std::string text, finding;
  };
  const std::string train = kTrainList;
  const Case cases[] = {
      {"train", "", "the file is empty"},
      {"train", train + "sketch/ant/2.png", "line 7: 'sketch/ant/2.png', expected"},
      {"train", train + "sketch/ant/2.png ", "line 7"},
      {"train", train + "sketch/The_Mona_Lisa/2.png x", "line 7"},
      {"train", train + "sketch/ant/2.png 0x", "line 7"},
      {"train", train + "sketch/ant/2.png -1", "line 7"},
      {"train", train + "sketch/ant/2.png 100000", "line 7"},
      {"train", train + "sketch/ant/2.png 4294967296", "line 7"},
      {"train", train + "\n\nsketch/ant/2.png 0\n", "line 7: ''"},
      {"train", train + "clipart/ant/2.png 0\n", "line 7"},
      {"train", train + "sketch/2.png 0\n", "line 7"},
      {"train", train + "sketch//2.png 0\n", "line 7"},
      {"train", train + "sketch/ant/ 0\n", "line 7"},
      {"train", train + "sketch/ant/2.png 1\n", "line 7: label 1 for the folder 'ant'"},
      {"train", train + "sketch/bat/2.png 1\n", "line 7: label 1 for the folder 'bat'"},
      {"train", train + "sketch/cat/2.png 4\n", "no row of the training list has label 3"},
      {"train", train + "sketch/ant/9.png 0\n", "sketch/ant/9.png: no such file"},
      {"test", "sketch/bee/2.png 1\nsketch/cat/2.png 3\n", "line 2: label 3, which the training"},
      {"test", "sketch/bee/2.png 0\n", "line 1: label 0 for the folder 'bee'"},
  };
  for (const Case& c : cases) {
    CAPTURE(c.finding);
    const DataFolder folder;
    write_domain(folder);
    write_text(folder.path(concat("sketch_", c.file, ".txt")), c.text);
    const std::string error = load_error(domain_options(folder));
    CAPTURE(error);
    CHECK(contains(error, folder.path("sketch")));
    CHECK(contains(error, c.finding));
    CHECK(contains(error, "expects the official lists"));
  }
  const DataFolder folder;
  write_domain(folder);
  std::filesystem::remove(folder.path("sketch_test.txt"));
  CHECK(contains(load_error(domain_options(folder)),
                 folder.path("sketch_test.txt") + ": no such file"));
  CHECK(contains(load_error({.spec = "domainnet:", .data_dir = {}}), "domainnet:DIR/DOMAIN"));
}

TEST_CASE("bad images of DomainNet stop the load by name, or are left out when asked") {
  const DataFolder folder;
  write_domain(folder);
  write_file(folder.path("sketch/bee/0.png"), {'n', 'o'});
  std::filesystem::remove(folder.path("sketch/ant/2.png"));
  DataOptions options = domain_options(folder);
  const std::string error = load_error(options);
  CHECK(contains(error, "1 of 6 images cannot be read"));
  CHECK(contains(error, folder.path("sketch/bee/0.png")));
  options.skip_bad = true;
  const DataSplits splits = load_data(options);
  CHECK(splits.train->size() == 5);
  CHECK(read_image(*splits.train, 2)[0] == 21);
  CHECK(splits.test->size() == 1);
  CHECK(splits.test->label(0) == 1);
}
