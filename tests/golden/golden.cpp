// The reader of the golden files and the rule that draws weights and images.
#include "tests/golden/golden.h"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>

#include "kernels/base/check.h"

namespace basin::golden {
namespace {

using nlohmann::json;

uint64_t fnv1a64(std::string_view name) {
  uint64_t hash = 0xCBF29CE484222325u;
  for (const char c : name) hash = (hash ^ static_cast<uint8_t>(c)) * 0x100000001B3u;
  return hash;
}

uint64_t splitmix64(uint64_t x) {
  x += 0x9E3779B97F4A7C15u;
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
  return x ^ (x >> 31);
}

// The multiple of 2^-23 in [-1, 1) that number i of a name is.
double unit_of(uint64_t hash, int64_t i) {
  const uint64_t bits = splitmix64(hash + static_cast<uint64_t>(i)) >> 40;
  return static_cast<double>(static_cast<int64_t>(bits) - (int64_t{1} << 23)) * 0x1p-23;
}

json read_json(const std::string& name) {
  const std::string path = std::string(BASIN_GOLDEN_FOLDER) + "/" + name + ".json";
  std::ifstream file(path);
  BASIN_CHECK(file, path, " cannot be read; make it with tools/golden/make_golden.py");
  return json::parse(file);
}

Summary read_summary(const json& j) {
  return {j.at("norm"), j.at("projection"), j.value("terms", 0.0)};
}

std::map<std::string, Summary> read_summaries(const json& file, const char* kind) {
  std::map<std::string, Summary> summaries;
  if (!file.contains(kind)) return summaries;
  for (const auto& [name, j] : file.at(kind).items()) summaries[name] = read_summary(j);
  return summaries;
}

std::map<std::string, FullTensor> read_tensors(const json& j) {
  std::map<std::string, FullTensor> tensors;
  for (const auto& [name, tensor] : j.items()) {
    tensors[name] = {tensor.at("shape").get<std::vector<int64_t>>(),
                     tensor.at("values").get<std::vector<double>>()};
  }
  return tensors;
}

}  // namespace

std::vector<float> values(std::string_view name, int64_t count, double center, double amplitude) {
  const uint64_t hash = fnv1a64(name);
  std::vector<float> x(static_cast<size_t>(count));
  for (int64_t i = 0; i < count; ++i) {
    x[static_cast<size_t>(i)] = static_cast<float>(center + amplitude * unit_of(hash, i));
  }
  return x;
}

double norm(const std::vector<double>& x) {
  double sum = 0;
  for (const double value : x) sum += value * value;
  return std::sqrt(sum);
}

std::vector<double> channels_first(const std::vector<double>& x, int64_t a, int64_t b, int64_t c,
                                   int64_t d) {
  std::vector<double> y(x.size());
  for (int64_t i = 0; i < a; ++i) {
    for (int64_t pixel = 0; pixel < b * c; ++pixel) {
      for (int64_t channel = 0; channel < d; ++channel) {
        y[static_cast<size_t>((i * d + channel) * b * c + pixel)] =
            x[static_cast<size_t>((i * b * c + pixel) * d + channel)];
      }
    }
  }
  return y;
}

std::vector<double> channels_last(const std::vector<double>& x, int64_t a, int64_t d, int64_t b,
                                  int64_t c) {
  return channels_first(x, a, d, 1, b * c);  // swaps the two inner axes, whatever they mean
}

int64_t Drawn::elements() const {
  int64_t count = 1;
  for (const int64_t size : shape) count *= size;
  return count;
}

double Summary::error(const std::string& name, const std::vector<double>& x) const {
  const uint64_t hash = fnv1a64("projection:" + name);
  double projected = 0;
  for (size_t i = 0; i < x.size(); ++i) projected += x[i] * unit_of(hash, static_cast<int64_t>(i));
  return std::max(std::abs(golden::norm(x) - norm), std::abs(projected - projection)) /
         std::max(norm, terms);
}

std::vector<double> ModelCase::images(int64_t step) const {
  const auto drawn =
      values(input + ":" + std::to_string(step), batch * 3 * image_size * image_size);
  return channels_last({drawn.begin(), drawn.end()}, batch, 3, image_size, image_size);
}

std::vector<double> ModelCase::targets(int64_t step) const {
  std::vector<double> t(static_cast<size_t>(batch * classes));
  for (int64_t n = 0; n < batch; ++n) {
    const int64_t i = step * batch + n;
    t[static_cast<size_t>(n * classes + (7 * i + 3) % classes)] += 0.75;
    t[static_cast<size_t>(n * classes + (11 * i + 5) % classes)] += 0.25;
  }
  return t;
}

ModelCase read_model_case(const std::string& name) {
  const json file = read_json(name);
  ModelCase model{};
  model.model = file.at("model");
  model.input = file.at("input");
  model.batch = file.at("batch");
  model.image_size = file.at("image_size");
  model.classes = file.at("classes");
  const json& sgd = file.at("sgd");
  model.learning_rate = sgd.at("learning_rate");
  model.momentum = sgd.at("momentum");
  model.weight_decay = sgd.at("weight_decay");
  for (const auto& [tensor, j] : file.at("tensors").items()) {
    model.tensors[tensor] = {j.at("shape").get<std::vector<int64_t>>(), j.at("center"),
                             j.at("amplitude")};
  }
  for (const auto& [tensor, j] : file.at("samples").items()) {
    model.samples[tensor] = j.get<std::vector<double>>();
  }
  if (file.contains("eval_logits")) model.eval_logits = read_summary(file.at("eval_logits"));
  model.train_logits = read_summary(file.at("train_logits"));
  model.losses = file.at("losses").at("value").get<std::vector<double>>();
  model.gradients = read_summaries(file, "gradients");
  model.running_stats = read_summaries(file, "running_stats");
  model.updates = read_summaries(file, "updates");
  return model;
}

std::vector<OpCase> read_op_cases(const std::string& op) {
  std::vector<OpCase> cases;
  for (const json& entry : read_json("ops")) {
    if (entry.at("op") != op) continue;
    OpCase c{op, {}, {}, read_tensors(entry.at("inputs")), read_tensors(entry.at("outputs"))};
    for (const auto& [name, value] : entry.at("attributes").items()) {
      if (value.is_number()) c.attributes[name] = value;
      if (value.is_array()) c.attribute_lists[name] = value.get<std::vector<double>>();
    }
    cases.push_back(std::move(c));
  }
  BASIN_CHECK(!cases.empty(), "ops.json has no case of ", op);
  return cases;
}

}  // namespace basin::golden
