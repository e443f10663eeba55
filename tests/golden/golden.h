// Reads the golden files (README.md; tools/golden/make_golden.py has the format) and draws the
// weights and images they are about.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace basin::golden {

// float32(center + amplitude * unit(name, i)) for i = 0 .. count-1, in PyTorch's layout. unit(name,
// i) is a multiple of 2^-23 in [-1, 1), a function of the name and the place alone.
std::vector<float> values(std::string_view name, int64_t count, double center = 0,
                          double amplitude = 1);

double norm(const std::vector<double>& x);

// From [a, b, c, d] to [a, d, b, c] and back: OIHW from KRSC, NCHW from NHWC.
std::vector<double> channels_first(const std::vector<double>& x, int64_t a, int64_t b, int64_t c,
                                   int64_t d);
std::vector<double> channels_last(const std::vector<double>& x, int64_t a, int64_t d, int64_t b,
                                  int64_t c);

// How a tensor is drawn.
struct Drawn {
  std::vector<int64_t> shape;
  double center, amplitude;
  int64_t elements() const;
};

// What the file says of a tensor; see make_golden.py. `projection` is
// sum_i x_i * unit("projection:" + name, i). `terms` is 0 where the file has none.
struct Summary {
  double norm, projection, terms;
  // The larger of the differences of norm and projection from those of x, relative to norm or
  // terms. `x` in PyTorch's layout.
  double error(const std::string& name, const std::vector<double>& x) const;
};

struct ModelCase {
  std::string model, input;
  int64_t batch, image_size, classes;
  double learning_rate, momentum, weight_decay;
  std::map<std::string, Drawn> tensors;
  std::map<std::string, std::vector<double>> samples;
  Summary eval_logits, train_logits;  // norm 0 where the file has none
  std::vector<double> losses;
  std::map<std::string, Summary> gradients, running_stats, updates;

  // Images of a step, NHWC, and its soft targets, [batch, classes].
  std::vector<double> images(int64_t step) const;
  std::vector<double> targets(int64_t step) const;
};

// Throws Error naming the file when it cannot be read.
ModelCase read_model_case(const std::string& name);

struct FullTensor {
  std::vector<int64_t> shape;
  std::vector<double> values;  // PyTorch's layout
};

// One entry of ops.json.
struct OpCase {
  std::string op;
  std::map<std::string, double> attributes;  // the numeric ones
  std::map<std::string, std::vector<double>> attribute_lists;
  std::map<std::string, FullTensor> inputs, outputs;
};

// The cases of one op, at least one.
std::vector<OpCase> read_op_cases(const std::string& op);

}  // namespace basin::golden
