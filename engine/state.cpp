// The flat, named arena of parameters and the arithmetic on its ranges.
#include "engine/state.h"

#include <algorithm>
#include <cmath>

#include "engine/transfer.h"
#include "kernels/base/random.h"
#include "kernels/convert/call.h"
#include "kernels/device/run.h"
#include "kernels/parameters/call.h"

namespace basin {
namespace {

constexpr int64_t kAlignElements = 64;

class Part final : public Storage {  // a piece of a larger block, kept alive by it
 public:
  Part(std::shared_ptr<Storage> whole, int64_t offset, int64_t bytes)
      : Storage(static_cast<std::byte*>(whole->data()) + offset, bytes), whole_(std::move(whole)) {}

 private:
  std::shared_ptr<Storage> whole_;
};

}  // namespace

void State::begin_module(std::string name) {
  BASIN_CHECK(!ranges_.contains(name), "module ", name,
              " was opened twice: the parameters of a module must be contiguous");
  ranges_[name] = {{parameter_elements_, parameter_elements_},
                   {buffer_elements_, buffer_elements_}};
  modules_.push_back(std::move(name));
}

Tensor State::add_parameter(std::string name, Shape shape, InitialValue init) {
  return add(std::move(name), shape, false, init);
}
Tensor State::add_buffer(std::string name, Shape shape, InitialValue init) {
  return add(std::move(name), shape, true, init);
}

Tensor State::add(std::string name, Shape shape, bool buffer, InitialValue init) {
  BASIN_CHECK(!values_, "parameter ", name, " was added after allocate()");
  BASIN_CHECK(!modules_.empty(), "parameter ", name, " was added before begin_module()");
  BASIN_CHECK(!index_.contains(name), "two parameters are named ", name);
  int64_t& elements = buffer ? buffer_elements_ : parameter_elements_;
  Tensor tensor(nullptr, shape, value_dtype()), copy;
  if (dtype_ == DType::kBF16 && !buffer && shape.rank() >= 2) copy = Tensor(nullptr, shape, dtype_);
  index_[name] = entries_.size();
  entries_.push_back(
      {std::move(name), modules_.back(), shape, elements, buffer, tensor, copy, init});
  elements += (shape.elements() + kAlignElements - 1) / kAlignElements * kAlignElements;
  auto& ranges = ranges_[modules_.back()];
  (buffer ? ranges.second : ranges.first).end = elements;
  return copy ? copy : tensor;
}

void State::allocate(Use use) {
  BASIN_CHECK(!values_, "a State is allocated once");
  const int64_t width = size_of(value_dtype());
  values_ = allocate_state(parameter_elements_ * width, *stream_);
  if (dtype_ == DType::kBF16) {
    copy_ = allocate_state(parameter_elements_ * size_of(dtype_), *stream_);
  }
  buffers_ = allocate_state(buffer_elements_ * width, *stream_);
  if (use == Use::kTraining) {
    gradients_ = allocate_state(parameter_elements_ * width, *stream_);
    momentum_ = allocate_state(parameter_elements_ * width, *stream_);
  }
  std::vector<Segment> segments;
  for (const std::string& module : modules_) {
    const Range range = parameter_range(module);
    segments.push_back({range.begin, range.end - range.begin});
  }
  const auto modules = static_cast<int64_t>(segments.size());
  segments_ = allocate_state(modules * static_cast<int64_t>(sizeof(Segment)), *stream_);
  sums_ = allocate_state(modules * static_cast<int64_t>(sizeof(double)), *stream_);
  stream_->copy_to_device(segments_->data(), segments.data(), segments_->bytes());
  for (Entry& entry : entries_) {
    const int64_t bytes = entry.shape.elements() * width, offset = entry.offset * width;
    Tensor::Content& content = *entry.tensor.content_;
    content.storage = std::make_shared<Part>(entry.buffer ? buffers_ : values_, offset, bytes);
    content.address = static_cast<std::byte*>(content.storage->data());
    if (!entry.buffer && use == Use::kTraining) {
      content.slot = std::make_shared<GradientSlot>(
          GradientSlot{entry.shape, value_dtype(), true, false,
                       std::make_unique<Tensor>(std::make_shared<Part>(gradients_, offset, bytes),
                                                entry.shape, value_dtype())});
    }
    if (entry.copy) {
      Tensor::Content& copy = *entry.copy.content_;
      copy.storage = std::make_shared<Part>(copy_, entry.offset * size_of(dtype_),
                                            entry.shape.elements() * size_of(dtype_));
      copy.address = static_cast<std::byte*>(copy.storage->data());
      copy.slot = content.slot;
    }
  }
}

const State::Entry* State::find(std::string_view name) const {
  const auto it = index_.find(name);
  return it == index_.end() ? nullptr : &entries_[it->second];
}

int64_t State::parameter_count() const {
  int64_t count = 0;
  for (const Entry& entry : entries_) count += entry.buffer ? 0 : entry.shape.elements();
  return count;
}

State::Range State::parameter_range(const std::string& module) const {
  const auto it = ranges_.find(module);
  if (it != ranges_.end()) return it->second.first;
  std::string known;
  for (const std::string& name : modules_) known += (known.empty() ? "" : ", ") + name;
  throw Error(concat("no module is named ", module, "; the network has ", known));
}

State::Range State::buffer_range(const std::string& module) const {
  parameter_range(module);
  return ranges_.at(module).second;
}

void State::check_same_layout(const State& other) const {
  BASIN_CHECK(dtype_ == other.dtype_, "two states of different types: ", name_of(dtype_), " and ",
              name_of(other.dtype_));
  BASIN_CHECK(entries_.size() == other.entries_.size(),
              "two networks with different parameters: ", entries_.size(), " and ",
              other.entries_.size(), " tensors");
  for (size_t i = 0; i < entries_.size(); ++i) {
    const Entry &a = entries_[i], &b = other.entries_[i];
    BASIN_CHECK(a.name == b.name && a.shape == b.shape,
                "two networks with different parameters: ", a.name, " ", a.shape.text(), " and ",
                b.name, " ", b.shape.text());
  }
}

void State::initialize(uint64_t seed) {
  draw(seed, nullptr);
}

void State::initialize_module(uint64_t seed, const std::string& module) {
  parameter_range(module);  // throws for an unknown name
  draw(seed, &module);
}

void State::draw(uint64_t seed, const std::string* module) {
  uint32_t index = 0;
  for (const Entry& entry : entries_) {
    RandomStream random(seed, RandomPurpose::kInit, 0, index++);
    if (module && entry.module != *module) continue;
    dispatch_parameters(value_dtype(), [&]<class T>() {
      std::vector<T> values(static_cast<size_t>(entry.shape.elements()));
      for (T& element : values) {
        double value = entry.init.value;
        if (entry.init.kind == InitialValue::Kind::kNormal) value *= random.normal();
        if (entry.init.kind == InitialValue::Kind::kUniform) value *= 2.0 * random.uniform() - 1.0;
        element = static_cast<T>(value);
      }
      upload(values.data(), entry.tensor, *stream_);
    });
  }
  update_copy();
}

void State::copy_from(const State& other) {
  check_same_layout(other);
  stream_->copy(values_->data(), other.values_->data(), values_->bytes());
  stream_->copy(buffers_->data(), other.buffers_->data(), buffers_->bytes());
  update_copy();
}

void State::copy_module_from(const State& other, const std::string& module) {
  check_same_layout(other);
  const int64_t width = size_of(value_dtype());
  auto copy = [&](const Storage& from, const Storage& to, Range range) {
    stream_->copy(static_cast<std::byte*>(to.data()) + range.begin * width,
                  static_cast<std::byte*>(from.data()) + range.begin * width,
                  (range.end - range.begin) * width);
  };
  copy(*other.values_, *values_, parameter_range(module));
  copy(*other.buffers_, *buffers_, buffer_range(module));
  update_copy(parameter_range(module));
}

void State::lerp(const State& a, const State& b, double t) {
  for (const std::string& module : modules_) lerp_module(a, b, t, module);
}

void State::lerp_module(const State& a, const State& b, double t, const std::string& module) {
  check_same_layout(a);
  check_same_layout(b);
  dispatch_parameters(value_dtype(), [&]<class T>() {
    auto lerp_range = [&](const Storage& from, const Storage& to, const Storage& out, Range range) {
      run(Lerp<T>{.a = static_cast<const T*>(from.data()) + range.begin,
                  .b = static_cast<const T*>(to.data()) + range.begin,
                  .y = static_cast<T*>(out.data()) + range.begin,
                  .t = t,
                  .size = range.end - range.begin},
          *stream_);
    };
    lerp_range(*a.values_, *b.values_, *values_, parameter_range(module));
    lerp_range(*a.buffers_, *b.buffers_, *buffers_, buffer_range(module));
  });
  update_copy(parameter_range(module));
}

void State::add_noise(const std::string& module, double sigma, uint64_t seed, uint32_t draw) {
  parameter_range(module);
  for (const Entry& entry : entries_) {
    if (entry.module != module || entry.buffer) continue;
    dispatch_parameters(value_dtype(), [&]<class T>() {
      run(AddNoise<T>{.y = entry.tensor.data<T>(),
                      .sigma = sigma,
                      .seed = seed,
                      .draw = draw,
                      .offset = entry.offset,
                      .size = entry.shape.elements()},
          *stream_);
    });
  }
  update_copy(parameter_range(module));
}

void State::update_copy(Range range) {
  if (!copy_) return;
  run(Convert<float, Bf16>{static_cast<const float*>(values_->data()) + range.begin,
                           {flat_copy() + range.begin},
                           range.end - range.begin},
      *stream_);
}

std::vector<double> State::distances(const State* other) const {
  if (other) check_same_layout(*other);
  dispatch_parameters(value_dtype(), [&]<class T>() {
    run(SegmentedSquaredDistance<T>{.a = static_cast<const T*>(values_->data()),
                                    .b = other ? static_cast<const T*>(other->values_->data())
                                               : nullptr,
                                    .segments = static_cast<const Segment*>(segments_->data()),
                                    .sums = static_cast<double*>(sums_->data()),
                                    .segment_count = static_cast<int64_t>(modules_.size()),
                                    .size = parameter_elements_},
        *stream_);
  });
  std::vector<double> sums(modules_.size());
  stream_->copy_to_host(sums.data(), sums_->data(), sums_->bytes());
  for (double& sum : sums) sum = std::sqrt(sum);
  return sums;
}

std::vector<double> State::module_distances(const State& other) const {
  return distances(&other);
}
std::vector<double> State::module_norms() const {
  return distances(nullptr);
}

void* State::flat_gradients() const {
  BASIN_CHECK(gradients_, "this state holds values only: it was not allocated for training");
  return gradients_->data();
}

void* State::flat_momentum() const {
  BASIN_CHECK(momentum_, "this state holds values only: it was not allocated for training");
  return momentum_->data();
}

Bf16* State::flat_copy() const {
  return copy_ ? static_cast<Bf16*>(copy_->data()) : nullptr;
}

void State::begin_step() {
  for (const Entry& entry : entries_) {
    if (const GradientSlotHandle slot = entry.tensor.slot()) slot->written = false;
  }
}

void State::check_gradients_written() const {
  for (const Entry& entry : entries_) {
    BASIN_CHECK(entry.buffer || entry.tensor.has_gradient(), "parameter ", entry.name,
                " got no gradient in this step: it does not take part in the loss");
  }
}

}  // namespace basin
