// Folders of images by class, sound and damaged.
#include "data/image/image.h"
#include "data/loader.h"
#include "tests/data/fixtures.h"

using namespace basin;
using namespace basin::data;

namespace {

void write_folder(const DataFolder& folder, const std::string& test = "test") {
  for (int i = 0; i < 6; ++i) {
    write_flat(folder.path(concat("train/bee/", i, ".png")), static_cast<uint8_t>(100 + i));
    write_flat(folder.path(concat("train/ant/", i, ".png")), static_cast<uint8_t>(i));
  }
  write_flat(folder.path("train/cat/x.JPG"), 200);
  write_flat(folder.path("train/cat/y.jpeg"), 210);
  write_file(folder.path("train/cat/notes.txt"), {'n'});
  write_flat(folder.path(test + "/bee/0.png"), 110);
  write_flat(folder.path(test + "/ant/0.png"), 10);
}

DataOptions folder_options(const DataFolder& folder) {
  return {.spec = "imagefolder:" + folder.path(), .data_dir = {}, .image_size = 16};
}

}  // namespace

TEST_CASE("an image folder's classes are its folders in the order of their names") {
  for (const std::string test : {"test", "val"}) {
    const DataFolder folder;
    write_folder(folder, test);
    const DataSplits splits = load_data(folder_options(folder));
    CHECK(splits.train->class_names() == std::vector<std::string>{"ant", "bee", "cat"});
    CHECK(splits.train->size() == 14);
    CHECK(splits.test->size() == 2);
    CHECK(splits.train->height() == 16);
    for (int64_t i = 0; i < 12; ++i) {
      CHECK(splits.train->label(i) == i / 6);
      CHECK(read_image(*splits.train, i)[0] == i / 6 * 100 + i % 6);
    }
    CHECK(std::abs(read_image(*splits.train, 13)[0] - 210) <= 3);  // a JPEG
    CHECK(splits.test->label(1) == 1);
  }
}

TEST_CASE("image_size 0 is 224 and reads and crops have that size") {
  const DataFolder folder;
  write_folder(folder);
  DataOptions options = folder_options(folder);
  options.image_size = 0;
  const auto train = load_data(options).train;
  CHECK(train->height() == 224);
  CHECK(train->width() == 224);
  Bytes pixels(train->image_bytes());
  train->read_augmented(3, RandomStream(1, RandomPurpose::kAugmentation), pixels.data());
  for (size_t i = 0; i < pixels.size(); i += 3) REQUIRE(pixels[i] == 3);
}

TEST_CASE("augmentation crops and flips, by its stream alone") {
  const DataFolder folder;
  write_folder(folder);
  Bytes picture(64 * 64 * 3);
  for (int64_t i = 0; i < 64 * 64; ++i) picture[i * 3] = static_cast<uint8_t>(i % 64 * 4);
  write_png(folder.path("train/ant/0.png"), picture.data(), 64, 64);  // red grows to the right
  const auto train = load_data(folder_options(folder)).train;
  int flipped = 0, wide = 0;
  for (uint32_t i = 0; i < 200; ++i) {
    const RandomStream random(1, RandomPurpose::kAugmentation, i);
    Bytes pixels(train->image_bytes()), again(train->image_bytes());
    train->read_augmented(0, random, pixels.data());
    train->read_augmented(0, random, again.data());
    REQUIRE(pixels == again);
    const int left = pixels[0], right = pixels[15 * 3];
    REQUIRE(left != right);
    flipped += left > right;
    wide += std::abs(left - right) > 150;
  }
  CHECK(flipped > 65);
  CHECK(flipped < 135);
  CHECK(wide > 10);
  CHECK(wide < 190);
}

TEST_CASE("source and target of an image folder are disjoint in every class") {
  const DataFolder folder;
  write_folder(folder);
  DataOptions options = folder_options(folder);
  options.split = "source";
  const auto source = load_data(options).train;  // 5 + 5 + 1
  options.split = "target";
  const auto target = load_data(options).train;  // the last of every class
  REQUIRE(source->size() == 11);
  REQUIRE(target->size() == 3);
  CHECK(read_image(*source, 4)[0] == 4);
  CHECK(read_image(*source, 5)[0] == 100);
  CHECK(read_image(*target, 0)[0] == 5);
  CHECK(read_image(*target, 1)[0] == 105);
}

TEST_CASE("unreadable headers stop the load by name, or are skipped when asked") {
  const DataFolder folder;
  write_folder(folder);
  const std::string bad = folder.path("train/bee/2.png");
  write_file(bad, {'n', 'o'});
  DataOptions options = folder_options(folder);
  const std::string error = load_error(options);
  CHECK(contains(error, bad));
  CHECK(contains(error, "1 of 14 images cannot be read"));
  CHECK(contains(error, "--skip-bad"));
  options.skip_bad = true;
  const auto train = load_data(options).train;
  CHECK(train->size() == 13);
  CHECK(read_image(*train, 8)[0] == 103);
}

TEST_CASE("images that fail when decoded stop the run by name, or give way to the next") {
  const DataFolder folder;
  write_folder(folder);
  const std::string png = folder.path("train/bee/5.png"), jpeg = folder.path("train/cat/x.JPG");
  truncate(png, 0.6);
  truncate(jpeg, 0.8);
  DataOptions options = folder_options(folder);
  auto train = load_data(options).train;
  REQUIRE(train->size() == 14);
  CHECK(contains(error_of([&] { read_image(*train, 11); }), png));
  CHECK(contains(error_of([&] { read_image(*train, 12); }), jpeg));

  for (const int workers : {1, 2}) {  // and so it reaches the caller of a loader
    Loader loader(train, {.batch_size = 4, .workers = workers});
    loader.start_epoch(0);
    CHECK(loader.next() != nullptr);
    CHECK(loader.next() != nullptr);
    CHECK(contains(error_of([&] { loader.next(); }), png));
    CHECK(contains(error_of([&] { loader.next(); }), png));
    loader.start_epoch(0);
    CHECK(loader.next()->indices[0] == 0);
  }

  options.skip_bad = true;
  train = load_data(options).train;
  CHECK(train->size() == 14);
  CHECK(read_image(*train, 11)[0] == 100);  // the first bee follows the last
  CHECK(std::abs(read_image(*train, 12)[0] - 210) <= 3);
  write_file(folder.path("train/cat/y.jpeg"), {'n', 'o'});  // damaged after the load
  CHECK(contains(error_of([&] { read_image(*train, 12); }), "nor any other image of its class"));
}

TEST_CASE("folders that are not as expected are refused with the remedy") {
  const auto refused = [](auto change) {
    const DataFolder folder;
    write_folder(folder);
    change(folder);
    return load_error(folder_options(folder));
  };
  using std::filesystem::remove_all;
  CHECK(contains(refused([](auto& f) { remove_all(f.path("train")); }), "/train: no such folder"));
  CHECK(contains(refused([](auto& f) { remove_all(f.path("test")); }), "/val: no such folder"));
  CHECK(contains(refused([](auto& f) { write_flat(f.path("test/dog/0.png"), 1); }),
                 "a class that the training images do not have"));
  CHECK(contains(refused([](auto& f) { std::filesystem::create_directory(f.path("train/eel")); }),
                 "/train/eel: no image of this class"));
  CHECK(contains(refused([](auto& f) {
                   remove_all(f.path("test/ant"));
                   remove_all(f.path("test/bee"));
                 }),
                 "/test: no images found"));
}

TEST_CASE(
    "imagenet takes the validation folder, whatever else there is, and WordNet's names alone") {
  const auto write = [](const DataFolder& folder) {
    write_flat(folder.path("train/n02084071/n02084071_1.JPEG"), 40);
    write_flat(folder.path("train/n01440764/n01440764_1.JPEG"), 80);
    write_flat(folder.path("train/n01440764/n01440764_2.JPEG"), 120);
    write_flat(folder.path("val/n02084071/ILSVRC2012_val_00000001.JPEG"), 160);
    write_flat(folder.path("val/n01440764/ILSVRC2012_val_00000002.JPEG"), 200);
    write_flat(folder.path("test/ILSVRC2012_test_00000001.JPEG"), 240);  // without labels
  };
  const auto options_of = [](const DataFolder& folder) {
    return DataOptions{.spec = "imagenet:" + folder.path(), .data_dir = {}};
  };
  const DataFolder folder;
  write(folder);
  const DataSplits splits = load_data(options_of(folder));
  CHECK(splits.train->class_names() == std::vector<std::string>{"n01440764", "n02084071"});
  REQUIRE(splits.train->size() == 3);
  REQUIRE(splits.test->size() == 2);
  CHECK(splits.train->height() == 224);
  CHECK(splits.train->mean()[0] == 0.485f);
  CHECK(std::abs(read_image(*splits.train, 1)[0] - 120) <= 3);
  CHECK(splits.test->label(1) == 1);
  CHECK(std::abs(read_image(*splits.test, 1)[0] - 160) <= 3);

  const auto refused = [&](auto change) {
    const DataFolder changed;
    write(changed);
    change(changed);
    const std::string error = load_error(options_of(changed));
    CHECK(contains(error, "sorted into folders"));
    return error;
  };
  using std::filesystem::remove_all;
  CHECK(contains(refused([](auto& f) { remove_all(f.path("val")); }), "/val: no such folder"));
  CHECK(contains(refused([](auto& f) {
                   remove_all(f.path("val"));
                   write_flat(f.path("val/ILSVRC2012_val_00000001.JPEG"), 1);
                 }),
                 "/val: holds no folders"));
  CHECK(contains(refused([](auto& f) { write_flat(f.path("train/dog/1.JPEG"), 1); }),
                 "/train/dog: the name of the folder is no WordNet id"));
  CHECK(contains(refused([](auto& f) { write_flat(f.path("val/n00000001/1.JPEG"), 1); }),
                 "a class that the training images do not have"));
}
