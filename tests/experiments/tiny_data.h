// Data sets small enough to train on in milliseconds, and what the tests of runs compare.
#pragma once

#include <doctest/doctest.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "data/array_dataset.h"
#include "data/sources/registry.h"
#include "engine/files.h"
#include "experiments/program/train.h"
#include "kernels/base/random.h"
#include "tests/support/training.h"

namespace basin::test {

namespace fs = std::filesystem;

// Memory of a session in a test; small, so that reserving it is cheap under ASan.
constexpr int64_t kSessionBytes = int64_t{256} << 20;

inline std::unique_ptr<Session> small_session(Device device = Device::kCpu) {
  return std::unique_ptr<Session>(
      new Session{Stream(device), StepArena(kSessionBytes, device), {}, {}});
}

inline void write_idx(const fs::path& path, const std::vector<int64_t>& sizes,
                      const std::vector<uint8_t>& values) {
  std::string bytes = {0, 0, 8, static_cast<char>(sizes.size())};
  for (const int64_t size : sizes) {
    for (int shift = 24; shift >= 0; shift -= 8) bytes += static_cast<char>(size >> shift);
  }
  bytes.append(values.begin(), values.end());
  write_file_atomically(path, bytes);
}

// Writes the four files of idx:DIR: grey 8x8 images of noise on a brightness that grows with the
// class, classes in turn.
inline void write_tiny_data(const fs::path& directory, int64_t train_images, int64_t test_images,
                            int64_t classes) {
  fs::create_directories(directory);
  RandomStream random(3, RandomPurpose::kNoise);
  auto write = [&](const std::string& prefix, int64_t images) {
    std::vector<uint8_t> pixels, labels;
    for (int64_t i = 0; i < images; ++i) {
      const int64_t label = i % classes;
      labels.push_back(static_cast<uint8_t>(label));
      for (int pixel = 0; pixel < 64; ++pixel) {
        pixels.push_back(static_cast<uint8_t>(100 * label / (classes - 1) + random.below(150)));
      }
    }
    write_idx(directory / (prefix + "-images-idx3-ubyte"), {images, 8, 8}, pixels);
    write_idx(directory / (prefix + "-labels-idx1-ubyte"), {images}, labels);
  };
  write("train", train_images);
  write("t10k", test_images);
}

// Four batches an epoch, the last one partial; everything random is on.
inline TrainOptions tiny_options(const fs::path& directory, const fs::path& out) {
  TrainOptions options;
  options.model = "fixup_resnet8";
  options.width = 4;
  options.data.spec = "idx:" + directory.string();
  options.epochs = 2;
  options.batch_size = 16;
  options.schedule = {0.05, {1}, 0.1};
  options.mixup = 0.7;
  options.augment = true;
  options.train_eval_size = 30;
  options.seed = 5;
  options.data.seed = 5;
  options.out = out;
  return options;
}

// Of sets in memory: normalised with mean 0.5 and standard deviation 0.25.
inline data::DatasetInfo tiny_info(int64_t side, int64_t classes, bool multi_label = false) {
  data::DatasetInfo info;
  info.name = "tiny";
  info.height = info.width = side;
  for (int64_t c = 0; c < classes; ++c) info.class_names.push_back(std::to_string(c));
  info.multi_label = multi_label;
  info.mean.fill(0.5f);
  info.stddev.fill(0.25f);
  return info;
}

// Images [size, side, side, 3] of noise, each on a colour of its own, so that networks tell them
// apart.
inline std::vector<uint8_t> noise_pixels(int64_t size, int64_t side) {
  RandomStream random(8, RandomPurpose::kNoise);
  std::vector<uint8_t> pixels;
  for (int64_t i = 0; i < size; ++i) {
    const uint32_t color[3] = {random.below(200), random.below(200), random.below(200)};
    for (int64_t j = 0; j < side * side * 3; ++j) {
      pixels.push_back(static_cast<uint8_t>(color[j % 3] + random.below(56)));
    }
  }
  return pixels;
}

inline std::shared_ptr<const data::Dataset> tiny_set(int64_t size, int64_t side, int64_t classes) {
  std::vector<int32_t> labels;
  for (int64_t i = 0; i < size; ++i) labels.push_back(static_cast<int32_t>(i % classes));
  return std::make_shared<const data::ArrayDataset>(tiny_info(side, classes), labels,
                                                    noise_pixels(size, side));
}

// A network whose every module matters for its outputs, which differ from image to image.
inline std::unique_ptr<Network> lively_network(const std::string& model, Stream& stream,
                                               uint64_t seed, int64_t classes = 3) {
  auto network = small_network(model, stream, classes);
  network->initialize(seed);
  for (const std::string& module : network->state().modules()) {
    network->state().add_noise(module, module == "fc" ? 1.0 : 0.3, seed, 0);
  }
  for (const State::Entry& entry : network->state().entries()) {
    if (!entry.buffer) continue;
    RandomStream random(seed, RandomPurpose::kNoise, 66, static_cast<uint32_t>(entry.offset));
    const bool mean = entry.name.ends_with("mean");
    for (int64_t i = 0; i < entry.shape.elements(); ++i) {
      entry.tensor.data<float>()[i] =
          mean ? random.uniform(-0.5f, 0.5f) : random.uniform(0.5f, 1.5f);
    }
  }
  return network;
}

// Path inside the folder -> bytes, of every file.
inline std::map<std::string, std::string> folder_bytes(const fs::path& folder) {
  std::map<std::string, std::string> files;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    if (entry.is_regular_file()) {
      files[fs::relative(entry.path(), folder).string()] = read_file(entry.path());
    }
  }
  return files;
}

// What two runs with the same settings have in common, bit for bit: all checkpoints, and
// metrics.csv but for its last two columns, which are times.
inline std::map<std::string, std::string> run_bits(const fs::path& run) {
  std::map<std::string, std::string> bits = folder_bytes(run / "checkpoints");
  std::istringstream metrics(read_file(run / "metrics.csv"));
  for (std::string line; std::getline(metrics, line);) {
    for (int column = 0; column < 2; ++column) line.erase(line.rfind(','));
    bits["metrics.csv"] += line + "\n";
  }
  return bits;
}

// CHECKs that two runs have the same bits, and names the files that differ.
inline void check_same_run(const fs::path& a, const fs::path& b) {
  const auto bits_a = run_bits(a), bits_b = run_bits(b);
  std::string different;
  for (const auto& [name, bytes] : bits_a) {
    if (!bits_b.contains(name) || bits_b.at(name) != bytes) different += name + " ";
  }
  for (const auto& [name, bytes] : bits_b) {
    if (!bits_a.contains(name)) different += name + " ";
  }
  CHECK(different == "");
}

}  // namespace basin::test
