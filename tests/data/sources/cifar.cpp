// CIFAR's records, sound and damaged.
#include "tests/data/fixtures.h"

using namespace basin;
using namespace basin::data;

TEST_CASE("CIFAR files give interleaved images and CIFAR-100 gives the fine label") {
  for (const bool ten : {true, false}) {
    const int64_t label_bytes = ten ? 1 : 2;
    const auto records = [&](int first, int count) {
      Bytes bytes;
      for (int i = first; i < first + count; ++i) {
        if (!ten) bytes.push_back(static_cast<uint8_t>(19 - i));  // the coarse label
        bytes.push_back(static_cast<uint8_t>(i));
        for (int at = 0; at < 3072; ++at) {
          bytes.push_back(static_cast<uint8_t>(at / 1024 * 80 + at % 1024 % 61 + i));
        }
      }
      return bytes;
    };
    const DataFolder folder;
    if (ten) {
      for (int b = 0; b < 5; ++b) {
        write_file(folder.path("data_batch_" + std::to_string(b + 1) + ".bin"), records(2 * b, 2));
      }
    } else {
      write_file(folder.path("train.bin"), records(0, 10));
    }
    const std::string test_file = folder.path(ten ? "test_batch.bin" : "test.bin");
    write_file(test_file, records(3, 2));
    DataOptions options;
    options.spec = (ten ? "cifar10:" : "cifar100:") + folder.path();
    const DataSplits splits = load_data(options);
    CHECK(splits.train->size() == 10);
    CHECK(splits.test->size() == 2);
    CHECK(splits.train->classes() == (ten ? 10 : 100));
    CHECK(splits.train->class_names()[3] == "3");
    for (int i = 0; i < 10; ++i) {
      CHECK(splits.train->label(i) == i);
      const Bytes pixels = read_image(*splits.train, i);
      bool same = true;
      for (int p = 0; p < 1024; ++p) {
        for (int c = 0; c < 3; ++c) same = same && pixels[p * 3 + c] == (c * 80 + p % 61 + i) % 256;
      }
      CHECK(same);
    }
    CHECK(splits.test->label(1) == 4);

    std::string names;
    for (int c = 0; c < (ten ? 10 : 100); ++c) names += concat("class ", c, "\n");
    const std::string names_file = folder.path(ten ? "batches.meta.txt" : "fine_label_names.txt");
    write_file(names_file, Bytes(names.begin(), names.end()));
    CHECK(load_data(options).train->class_names()[3] == "class 3");
    write_file(names_file, {'a', '\n'});
    CHECK(contains(load_error(options), "1 class names"));
    std::filesystem::remove(names_file);

    Bytes bad = records(3, 2);
    bad.pop_back();
    write_file(test_file, bad);
    std::string error = load_error(options);
    CHECK(contains(error, test_file));
    CHECK(contains(error, concat("expected a multiple of ", label_bytes + 3072)));
    bad = records(3, 2);
    bad[label_bytes - 1] = ten ? 10 : 100;
    write_file(test_file, bad);
    error = load_error(options);
    CHECK(contains(error, concat("record 0 has label ", ten ? 10 : 100)));
    std::filesystem::remove(test_file);
    error = load_error(options);
    CHECK(contains(error, test_file + ": no such file"));
    CHECK(contains(error, "binary version"));
  }
}
