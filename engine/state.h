// All parameters and buffers of a network, named and flat: value, gradient, momentum and the bf16
// copy at equal offsets.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "engine/tensor.h"
#include "kernels/device/stream.h"

namespace basin {

// How an entry of a State starts: at a constant, or drawn from N(0, value^2) or U(-value, value).
struct InitialValue {
  enum class Kind { kConstant, kNormal, kUniform } kind = Kind::kConstant;
  double value = 0;
  static InitialValue constant(double value) { return {Kind::kConstant, value}; }
  static InitialValue normal(double standard_deviation) {
    return {Kind::kNormal, standard_deviation};
  }
  static InitialValue uniform(double bound) { return {Kind::kUniform, bound}; }
};

// Parameters are registered module by module; a module is a contiguous range by construction, so
// rewinding is a range copy, interpolation one call, and distance one segmented sum. Each parameter
// starts on a 64-element boundary; the padding is zero and stays zero. Buffers (running statistics)
// form a second array of the same kind. Register everything, then allocate() once.
//
// Where a network computes in bf16, values, gradients and momentum are f32 all the same. Beside
// them lies a copy of the values rounded to bf16, of which convolutions and linear layers read
// their weights. Whatever changes values here keeps it up to date, and so does Sgd.
class State {
 public:
  struct Entry {
    std::string name;    // PyTorch's name, e.g. "layer1.0.conv1.weight"
    std::string module;  // the module it belongs to, e.g. "layer1.0"
    Shape shape;         // convolution weights KRSC
    int64_t offset;      // in elements
    bool buffer;         // not trained: running statistics
    Tensor tensor;       // the values
    Tensor copy;         // of weights of a network in bf16: the copy; else empty
    InitialValue init;
  };
  struct Range {
    int64_t begin = 0, end = 0;
  };
  enum class Use { kTraining, kValuesOnly };

  // `dtype`: in which the network computes.
  State(DType dtype, Stream& stream) : dtype_(dtype), stream_(&stream) {}
  State(const State&) = delete;
  State& operator=(const State&) = delete;

  // Entries added from now on belong to module `name`. A name may be opened once: modules are
  // contiguous.
  void begin_module(std::string name);
  // What ops are given: the values, or their copy in bf16 where these are weights, of two or more
  // dimensions.
  Tensor add_parameter(std::string name, Shape shape, InitialValue init = {});
  Tensor add_buffer(std::string name, Shape shape, InitialValue init = {});
  void allocate(Use use);

  DType dtype() const { return dtype_; }
  DType value_dtype() const { return parameter_dtype(dtype_); }  // of values and gradients
  Stream& stream() const { return *stream_; }
  const std::vector<Entry>& entries() const { return entries_; }
  const Entry* find(std::string_view name) const;
  const std::vector<std::string>& modules() const { return modules_; }
  bool has_buffers() const { return buffer_elements_ > 0; }
  int64_t parameter_count() const;  // trained scalars, without padding

  // Throws Error with the names of similar modules when there is none of that name.
  Range parameter_range(const std::string& module) const;
  Range buffer_range(const std::string& module) const;

  // Draws the initial values of all entries, or of those of one module: a function of the seed and
  // of the place of the entry alone. The second throws Error for an unknown module.
  void initialize(uint64_t seed);
  void initialize_module(uint64_t seed, const std::string& module);

  // Weight surgery. `other`, `a`, `b` must have the same entries. Buffers are treated like
  // parameters.
  void copy_from(const State& other);
  void copy_module_from(const State& other, const std::string& module);
  void lerp(const State& a, const State& b, double t);  // (1-t)*a + t*b, end points exact
  void lerp_module(const State& a, const State& b, double t, const std::string& module);
  void add_noise(const std::string& module, double sigma, uint64_t seed, uint32_t draw);
  // Rounds the values of a range of parameters to the bf16 copy: for who writes to the tensors of
  // entries. Without such a copy nothing.
  void update_copy(Range range);
  void update_copy() { update_copy({0, parameter_elements_}); }

  // sqrt(sum (this - other)^2) over parameters (no buffers) of each module, in the order of
  // modules().
  std::vector<double> module_distances(const State& other) const;
  std::vector<double> module_norms() const;

  // Elements of the flat arrays, padding included. The arrays are in memory of the stream's device.
  int64_t flat_size() const { return parameter_elements_; }
  void* flat_values() const { return values_->data(); }
  void* flat_buffers() const { return buffers_->data(); }
  void* flat_gradients() const;
  void* flat_momentum() const;
  Bf16* flat_copy() const;  // null where the network does not compute in bf16

  // Forgets which gradients were written; call before each step.
  void begin_step();
  // Throws naming a parameter whose gradient was not written since begin_step().
  void check_gradients_written() const;

 private:
  Tensor add(std::string name, Shape shape, bool buffer, InitialValue init);
  void draw(uint64_t seed, const std::string* module);
  void check_same_layout(const State& other) const;
  std::vector<double> distances(const State* other) const;

  DType dtype_;
  Stream* stream_;
  std::vector<Entry> entries_;
  std::map<std::string, size_t, std::less<>> index_;
  std::vector<std::string> modules_;
  std::map<std::string, std::pair<Range, Range>> ranges_;  // parameters, buffers
  int64_t parameter_elements_ = 0, buffer_elements_ = 0;
  std::shared_ptr<Storage> values_, gradients_, momentum_, buffers_;
  std::shared_ptr<Storage> copy_;             // null where there is none
  std::shared_ptr<Storage> segments_, sums_;  // of distances(): one of each for a module
};

}  // namespace basin
