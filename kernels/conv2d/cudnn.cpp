// Convolutions by cuDNN 9, through the C functions of its graph API (cudnnBackend*).
//
// A problem (direction, shape, types, accumulate, epilogue) is described as a graph: the
// convolution and, behind it, one pointwise operation each for bias, residual and ReLU, with
// virtual tensors between. cuDNN's heuristics name engines with settings for it; those with
// forbidden numerical notes are dropped, the rest is built and timed, and the fastest is kept, as
// text "route, engine, settings", in the plan file. The text is all that a plan is built from,
// timed or read.
//
// Three routes: kDirect writes the output. kApart, for a forward with an epilogue, is the
// convolution alone and a kernel that applies the epilogue in place, for where no engine takes, or
// none is quick with, the whole graph. kScratch writes it in the type of the inputs into the
// workspace, from where a kernel converts it, or adds it to the output. The last two round once
// more, so they must be clearly faster than kDirect where both exist; of bf16, cuDNN 9.19 computes
// weight gradients in bf16 alone, so those take it.
//
// Activations are NHWC and weights KRSC; cuDNN is told so by strides, its dimensions are in the
// order NCHW and KCRS.
#include <cudnn.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <sstream>
#include <type_traits>
#include <utility>
#include <vector>

#include "kernels/base/check.h"
#include "kernels/base/random.h"
#include "kernels/conv2d/plan_file.h"
#include "kernels/convert/call.h"
#include "kernels/device/cuda.h"
#include "kernels/device/libraries_open.h"
#include "kernels/device/shared_library.h"
#include "kernels/elementwise/call.h"

namespace basin::cuda {
namespace {

// Engines that are timed: the first new ones of each heuristic that pass the filter. Their lists
// begin with the best guess, and are often the same.
constexpr size_t kTimedOfEachHeuristic = 10;
constexpr int kTimedRuns = 5;
// One that takes this many times as long as the fastest so far in its first run is not run again.
constexpr double kHopeless = 3;
// How much of the time of the direct route another may take at most.
constexpr double kDetourAdvantage = 0.9;
constexpr int64_t kAlignment = 16;  // bytes, of all tensors

// The functions of the library that are used here.
struct Functions {
  Functions() : library(BASIN_CUDNN_LIBRARY, kRemedy) {
    const size_t version = get_version();
    BASIN_CHECK(version / 10000 == CUDNN_MAJOR, "cuDNN ", version, " was loaded, but ", CUDNN_MAJOR,
                ".x is needed; ", kRemedy);
  }
  static constexpr const char* kRemedy =
      "install cuDNN 9, or put the folder of libcudnn.so.9 into LD_LIBRARY_PATH";
  SharedLibrary library;
#define BASIN_FUNCTION(member, name) \
  decltype(&name) member = library.function<decltype(&name)>(#name)
  BASIN_FUNCTION(get_version, cudnnGetVersion);
  BASIN_FUNCTION(create, cudnnCreate);
  BASIN_FUNCTION(destroy, cudnnDestroy);
  BASIN_FUNCTION(set_stream, cudnnSetStream);
  BASIN_FUNCTION(error_text, cudnnGetErrorString);
  BASIN_FUNCTION(last_error_text, cudnnGetLastErrorString);
  BASIN_FUNCTION(create_descriptor, cudnnBackendCreateDescriptor);
  BASIN_FUNCTION(destroy_descriptor, cudnnBackendDestroyDescriptor);
  BASIN_FUNCTION(set_attribute, cudnnBackendSetAttribute);
  BASIN_FUNCTION(get_attribute, cudnnBackendGetAttribute);
  BASIN_FUNCTION(finalize, cudnnBackendFinalize);
  BASIN_FUNCTION(execute, cudnnBackendExecute);
#undef BASIN_FUNCTION

  void check(cudnnStatus_t status, const char* what) const {
    if (status == CUDNN_STATUS_SUCCESS) return;
    char detail[1024] = "";
    last_error_text(detail, sizeof(detail));
    throw Error(concat("cuDNN: ", what, ": ", error_text(status), " ", detail));
  }
};

template <class T>
constexpr cudnnBackendAttributeType_t attribute_type() {
  if constexpr (std::is_same_v<T, int64_t>) return CUDNN_TYPE_INT64;
  if constexpr (std::is_same_v<T, float>) return CUDNN_TYPE_FLOAT;
  if constexpr (std::is_same_v<T, bool>) return CUDNN_TYPE_BOOLEAN;
  if constexpr (std::is_same_v<T, cudnnPointwiseMode_t>) return CUDNN_TYPE_POINTWISE_MODE;
  if constexpr (std::is_same_v<T, cudnnHandle_t>) return CUDNN_TYPE_HANDLE;
  if constexpr (std::is_same_v<T, cudnnDataType_t>) return CUDNN_TYPE_DATA_TYPE;
  if constexpr (std::is_same_v<T, cudnnConvolutionMode_t>) return CUDNN_TYPE_CONVOLUTION_MODE;
  if constexpr (std::is_same_v<T, cudnnBackendHeurMode_t>) return CUDNN_TYPE_HEUR_MODE;
  if constexpr (std::is_same_v<T, cudnnBackendKnobType_t>) return CUDNN_TYPE_KNOB_TYPE;
  if constexpr (std::is_same_v<T, cudnnBackendNumericalNote_t>) return CUDNN_TYPE_NUMERICAL_NOTE;
}

// One descriptor of the backend, with typed attributes.
class Descriptor {
 public:
  Descriptor(const Functions& cudnn, cudnnBackendDescriptorType_t type, const char* name)
      : cudnn_(&cudnn), name_(name) {
    cudnn.check(cudnn.create_descriptor(type, &handle_), name);
  }
  ~Descriptor() {
    if (handle_) cudnn_->destroy_descriptor(handle_);
  }
  Descriptor(Descriptor&& other) noexcept
      : cudnn_(other.cudnn_), name_(other.name_), handle_(std::exchange(other.handle_, nullptr)) {}
  Descriptor& operator=(Descriptor&&) = delete;

  template <class T>
  void set(cudnnBackendAttributeName_t name, T value) {
    put(name, attribute_type<T>(), 1, &value);
  }
  void set(cudnnBackendAttributeName_t name, const std::vector<int64_t>& values) {
    put(name, CUDNN_TYPE_INT64, static_cast<int64_t>(values.size()), values.data());
  }
  // Descriptors and addresses are pointers, told apart by the type of the attribute.
  void set(cudnnBackendAttributeName_t name, const std::vector<cudnnBackendDescriptor_t>& values,
           cudnnBackendAttributeType_t type) {
    put(name, type, static_cast<int64_t>(values.size()), values.data());
  }
  void set(cudnnBackendAttributeName_t name, const Descriptor& value) {
    put(name, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &value.handle_);
  }

  template <class T>
  T get(cudnnBackendAttributeName_t name) const {
    T value{};
    int64_t count = 0;
    cudnn_->check(cudnn_->get_attribute(handle_, name, attribute_type<T>(), 1, &count, &value),
                  name_);
    return value;
  }
  template <class T>
  std::vector<T> get_all(cudnnBackendAttributeName_t name, int64_t most) const {
    std::vector<T> values(static_cast<size_t>(most));
    int64_t count = 0;
    cudnn_->check(
        cudnn_->get_attribute(handle_, name, attribute_type<T>(), most, &count, values.data()),
        name_);
    values.resize(static_cast<size_t>(std::min(count, most)));
    return values;
  }
  // Fills in descriptors that the caller made for it; returns how many.
  size_t get_descriptors(cudnnBackendAttributeName_t name, std::vector<Descriptor>& into) const {
    std::vector<cudnnBackendDescriptor_t> handles;
    for (const Descriptor& each : into) handles.push_back(each.handle_);
    int64_t count = 0;
    cudnn_->check(cudnn_->get_attribute(handle_, name, CUDNN_TYPE_BACKEND_DESCRIPTOR,
                                        static_cast<int64_t>(handles.size()), &count,
                                        handles.empty() ? nullptr : handles.data()),
                  name_);
    return static_cast<size_t>(count);
  }

  // Whether cuDNN takes what was described; not every engine takes every problem.
  bool try_finalize() { return cudnn_->finalize(handle_) == CUDNN_STATUS_SUCCESS; }
  void finalize() { cudnn_->check(cudnn_->finalize(handle_), name_); }
  cudnnBackendDescriptor_t handle() const { return handle_; }

 private:
  void put(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type, int64_t count,
           const void* values) {
    cudnn_->check(cudnn_->set_attribute(handle_, name, type, count, values), name_);
  }
  const Functions* cudnn_;
  const char* name_;
  cudnnBackendDescriptor_t handle_ = nullptr;
};

enum class Direction { kForward, kBackwardData, kBackwardWeights };
enum class Route { kDirect, kScratch, kApart };
constexpr const char* kRouteNames[] = {"direct", "scratch", "apart"};

const char* name_of(cudnnDataType_t type) {
  return type == CUDNN_DATA_BFLOAT16 ? "bf16" : "float";
}
int64_t size_of(cudnnDataType_t type) {
  return type == CUDNN_DATA_BFLOAT16 ? 2 : 4;
}

// What a plan depends on, besides the machine and the libraries.
struct Problem {
  Direction direction;
  Conv2dShape shape;
  cudnnDataType_t type, output_type;
  bool accumulate;
  bool bias = false, residual = false, relu = false;  // the epilogue

  std::string text() const {
    static constexpr const char* kNames[] = {"conv2d_forward", "conv2d_backward_data",
                                             "conv2d_backward_weights"};
    const Conv2dShape& s = shape;
    return concat(kNames[static_cast<int>(direction)], " ", name_of(type), " to ",
                  name_of(output_type), accumulate ? " added" : "", ", x ", s.batch, "x", s.height,
                  "x", s.width, "x", s.in_channels, ", w ", s.out_channels, "x", s.kernel_height,
                  "x", s.kernel_width, "x", s.in_channels, ", stride ", s.stride, ", padding ",
                  s.padding, bias ? ", bias" : "", residual ? ", residual" : "",
                  relu ? ", relu" : "");
  }
  int64_t output_size() const {
    return direction == Direction::kForward
               ? shape.y_size()
               : (direction == Direction::kBackwardData ? shape.x_size() : shape.w_size());
  }
};

// An engine of cuDNN and its settings: which way, which engine, (knob, value)...
struct Choice {
  Route route;
  int64_t engine;
  std::vector<std::pair<int64_t, int64_t>> knobs;

  bool operator==(const Choice&) const = default;
  std::string text() const {
    std::ostringstream out;
    out << kRouteNames[static_cast<int>(route)] << " engine " << engine;
    for (const auto& [knob, value] : knobs) out << ' ' << knob << ':' << value;
    return out.str();
  }
  // Nothing where the text is not one that text() writes.
  static std::optional<Choice> parse(const std::string& text) {
    std::istringstream in(text);
    std::string route, word;
    Choice choice{};
    if (!(in >> route >> word >> choice.engine) || word != "engine") return {};
    const auto name = std::find(std::begin(kRouteNames), std::end(kRouteNames), route);
    if (name == std::end(kRouteNames)) return {};
    choice.route = static_cast<Route>(name - std::begin(kRouteNames));
    while (in >> std::ws, !in.eof()) {
      std::pair<int64_t, int64_t> knob;
      char colon = 0;
      if (!(in >> knob.first >> colon >> knob.second) || colon != ':') return {};
      choice.knobs.push_back(knob);
    }
    return choice;
  }
};

// A choice that is ready to run.
struct Plan {
  Route route;
  int64_t engine_bytes;  // of workspace; the scratch output comes behind it
  int64_t workspace_bytes;
  Descriptor description;
  std::vector<Descriptor> parts;  // what the description refers to
};

int64_t rounded_up(int64_t bytes) {
  return (bytes + 255) / 256 * 256;
}

// Device memory for the time of a scope.
struct Memory {
  explicit Memory(int64_t bytes) : data(allocate(bytes)) {}
  ~Memory() { release(data); }
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;
  void* data;
};

// Tensors of a graph, by these names; the virtual ones between operations count on from kBetween.
constexpr int64_t kX = 'x', kW = 'w', kY = 'y', kBias = 'b', kResidual = 'r', kBetween = 1000;
// Their memory; null: the problem has none.
struct Tensors {
  void *x, *w, *y, *bias, *residual;
};

}  // namespace

struct Cudnn {
  Cudnn(StreamHandle stream, const LibraryOptions& options);
  ~Cudnn() {
    plans.clear();
    functions.destroy(handle);
  }
  Cudnn(const Cudnn&) = delete;
  Cudnn& operator=(const Cudnn&) = delete;

  const Plan& plan(const Problem& problem);
  void execute(const Plan& plan, const Tensors& tensors, void* workspace);
  // Runs the plan of a problem, whose tensors these are, in the workspace.
  void run(const Problem& problem, const Plan& plan, Tensors tensors, void* workspace);

  Descriptor graph(const Problem& problem, Route route, std::vector<Descriptor>& parts);
  std::vector<Choice> choices(const Problem& problem, Route route);
  std::optional<Plan> build(const Problem& problem, const Choice& choice);
  std::optional<Choice> tune(const Problem& problem);

  Functions functions;
  StreamHandle stream;
  int64_t workspace_limit;
  bool allow_tf32;
  cudnnHandle_t handle = nullptr;
  std::string machine;  // the part of a key that is the same for all problems
  PlanFile file;
  std::map<std::string, Plan> plans;  // by text of the problem
  int64_t tuned = 0;
};

Cudnn::Cudnn(StreamHandle on_stream, const LibraryOptions& options)
    : stream(on_stream),
      workspace_limit(options.workspace_limit),
      allow_tf32(options.allow_tf32),
      file(options.plan_file) {
  functions.check(functions.create(&handle), "cudnnCreate");
  functions.check(functions.set_stream(handle, stream), "cudnnSetStream");
  const DeviceInfo info = describe();
  machine = concat("cuDNN ", functions.get_version(), ", ", info.name, " ", info.compute_major, ".",
                   info.compute_minor, " with ", info.multiprocessors, " multiprocessors, ",
                   allow_tf32 ? "TF32" : "no TF32", ", workspace up to ", workspace_limit);
}

// The operation graph of a problem: one convolution, and on the direct route its epilogue. `parts`
// keeps what it refers to alive.
Descriptor Cudnn::graph(const Problem& problem, Route route, std::vector<Descriptor>& parts) {
  const Conv2dShape& s = problem.shape;
  const bool direct = route == Route::kDirect;
  const auto described = [&](int64_t id, cudnnDataType_t type, int64_t outer, int64_t channels,
                             int64_t height, int64_t width) -> const Descriptor& {
    Descriptor& t =
        parts.emplace_back(functions, CUDNN_BACKEND_TENSOR_DESCRIPTOR, "a tensor descriptor");
    t.set(CUDNN_ATTR_TENSOR_DATA_TYPE, type);
    t.set(CUDNN_ATTR_TENSOR_DIMENSIONS, std::vector<int64_t>{outer, channels, height, width});
    t.set(CUDNN_ATTR_TENSOR_STRIDES,
          std::vector<int64_t>{height * width * channels, 1, width * channels, channels});
    t.set(CUDNN_ATTR_TENSOR_UNIQUE_ID, id);
    t.set(CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, kAlignment);
    if (id >= kBetween) t.set(CUDNN_ATTR_TENSOR_IS_VIRTUAL, true);
    t.finalize();
    return t;
  };
  const auto tensor = [&](int64_t id, bool is_output, int64_t outer, int64_t channels,
                          int64_t height, int64_t width) -> const Descriptor& {
    return described(id, is_output && direct ? problem.output_type : problem.type, outer, channels,
                     height, width);
  };
  parts.reserve(parts.size() + 20);  // references into it stay valid
  const Descriptor& x = tensor(kX, problem.direction == Direction::kBackwardData, s.batch,
                               s.in_channels, s.height, s.width);
  const Descriptor& w = tensor(kW, problem.direction == Direction::kBackwardWeights, s.out_channels,
                               s.in_channels, s.kernel_height, s.kernel_width);
  const Descriptor& y = tensor(kY, problem.direction == Direction::kForward, s.batch,
                               s.out_channels, s.out_height(), s.out_width());

  Descriptor& convolution = parts.emplace_back(functions, CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR,
                                               "the convolution descriptor");
  convolution.set(CUDNN_ATTR_CONVOLUTION_COMP_TYPE, CUDNN_DATA_FLOAT);
  convolution.set(CUDNN_ATTR_CONVOLUTION_CONV_MODE, CUDNN_CROSS_CORRELATION);
  convolution.set(CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS, int64_t{2});
  convolution.set(CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, std::vector<int64_t>(2, s.padding));
  convolution.set(CUDNN_ATTR_CONVOLUTION_POST_PADDINGS, std::vector<int64_t>(2, s.padding));
  convolution.set(CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, std::vector<int64_t>(2, s.stride));
  convolution.set(CUDNN_ATTR_CONVOLUTION_DILATIONS, std::vector<int64_t>(2, 1));
  convolution.finalize();

  struct Names {
    cudnnBackendDescriptorType_t type;
    cudnnBackendAttributeName_t x, w, y, convolution, alpha, beta;
  };
  static constexpr Names kNames[] = {
      {CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR,
       CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W,
       CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y,
       CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC,
       CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA,
       CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA},
      {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR,
       CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DX, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_W,
       CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DY,
       CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_CONV_DESC,
       CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_ALPHA,
       CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_BETA},
      {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR,
       CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_X,
       CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DW,
       CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DY,
       CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_CONV_DESC,
       CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_ALPHA,
       CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_BETA}};
  const Names& names = kNames[static_cast<int>(problem.direction)];
  Descriptor& operation = parts.emplace_back(functions, names.type, "the operation");
  // What the last operation so far writes: y itself where nothing follows, else float.
  int64_t following =
      problem.bias && direct ? 1 + (problem.residual ? 1 : 0) + (problem.relu ? 1 : 0) : 0;
  const auto next_output = [&]() -> const Descriptor& {
    if (following == 0) return y;
    return described(kBetween + following, CUDNN_DATA_FLOAT, s.batch, s.out_channels,
                     s.out_height(), s.out_width());
  };
  const Descriptor* output = &next_output();
  operation.set(names.x, x);
  operation.set(names.w, w);
  operation.set(names.y, *output);
  operation.set(names.convolution, convolution);
  operation.set(names.alpha, 1.0f);
  operation.set(names.beta, problem.accumulate && direct ? 1.0f : 0.0f);
  operation.finalize();

  std::vector<cudnnBackendDescriptor_t> operations{operation.handle()};
  // Applies `mode` to the output so far and `operand`, or to the output alone.
  const auto then = [&](cudnnPointwiseMode_t mode, const Descriptor* operand) {
    Descriptor& pointwise =
        parts.emplace_back(functions, CUDNN_BACKEND_POINTWISE_DESCRIPTOR, "a pointwise descriptor");
    pointwise.set(CUDNN_ATTR_POINTWISE_MODE, mode);
    pointwise.set(CUDNN_ATTR_POINTWISE_MATH_PREC, CUDNN_DATA_FLOAT);
    pointwise.finalize();
    --following;
    const Descriptor& result = next_output();
    Descriptor& step = parts.emplace_back(functions, CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR,
                                          "a pointwise operation");
    step.set(CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, pointwise);
    step.set(CUDNN_ATTR_OPERATION_POINTWISE_XDESC, *output);
    if (operand) step.set(CUDNN_ATTR_OPERATION_POINTWISE_BDESC, *operand);
    step.set(CUDNN_ATTR_OPERATION_POINTWISE_YDESC, result);
    step.finalize();
    operations.push_back(step.handle());
    output = &result;
  };
  if (problem.bias && direct) {
    // In this order, and with all of one type, cuDNN has compiled engines for it; else it compiles
    // one at run time, if at all.
    if (problem.residual) {
      then(CUDNN_POINTWISE_ADD, &described(kResidual, problem.type, s.batch, s.out_channels,
                                           s.out_height(), s.out_width()));
    }
    then(CUDNN_POINTWISE_ADD, &described(kBias, problem.type, 1, s.out_channels, 1, 1));
    if (problem.relu) then(CUDNN_POINTWISE_RELU_FWD, nullptr);
  }

  Descriptor graph(functions, CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR, "the operation graph");
  graph.set(CUDNN_ATTR_OPERATIONGRAPH_OPS, operations, CUDNN_TYPE_BACKEND_DESCRIPTOR);
  graph.set(CUDNN_ATTR_OPERATIONGRAPH_HANDLE, handle);
  graph.finalize();
  return graph;
}

// What cuDNN's heuristics name for a problem, without what must not be used; best guess first.
std::vector<Choice> Cudnn::choices(const Problem& problem, Route route) {
  std::vector<Descriptor> parts;
  const Descriptor operations = graph(problem, route, parts);
  const auto forbidden = [&](cudnnBackendNumericalNote_t note) {
    switch (note) {
      case CUDNN_NUMERICAL_NOTE_TENSOR_CORE:  // of float: TF32
        return problem.type == CUDNN_DATA_FLOAT && !allow_tf32;
      case CUDNN_NUMERICAL_NOTE_STRICT_NAN_PROP:
        return false;
      // Not the same bits each time; operands or sums in fewer bits; transforms that magnify
      // rounding. Notes that a newer cuDNN adds are forbidden, too.
      default:
        return true;
    }
  };

  std::vector<Choice> found;
  const auto ask = [&](cudnnBackendHeurMode_t mode) {
    Descriptor heuristic(functions, CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR, "a heuristic");
    heuristic.set(CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, operations);
    heuristic.set(CUDNN_ATTR_ENGINEHEUR_MODE, mode);
    if (!heuristic.try_finalize()) return;  // it knows nothing about the problem
    std::vector<Descriptor> configurations;
    const size_t most = heuristic.get_descriptors(CUDNN_ATTR_ENGINEHEUR_RESULTS, configurations);
    for (size_t i = 0; i < most; ++i) {
      configurations.emplace_back(functions, CUDNN_BACKEND_ENGINECFG_DESCRIPTOR,
                                  "an engine configuration");
    }
    if (most == 0) return;
    const size_t count = heuristic.get_descriptors(CUDNN_ATTR_ENGINEHEUR_RESULTS, configurations);
    size_t taken = 0;
    for (size_t i = 0; i < count && taken < kTimedOfEachHeuristic; ++i) {
      std::vector<Descriptor> engine;
      engine.emplace_back(functions, CUDNN_BACKEND_ENGINE_DESCRIPTOR, "an engine");
      configurations[i].get_descriptors(CUDNN_ATTR_ENGINECFG_ENGINE, engine);
      const auto notes = engine[0].get_all<cudnnBackendNumericalNote_t>(
          CUDNN_ATTR_ENGINE_NUMERICAL_NOTE, CUDNN_NUMERICAL_NOTE_TYPE_COUNT);
      if (std::any_of(notes.begin(), notes.end(), forbidden)) continue;
      Choice choice{route, engine[0].get<int64_t>(CUDNN_ATTR_ENGINE_GLOBAL_INDEX), {}};
      std::vector<Descriptor> knobs;
      for (int k = 0; k < CUDNN_KNOB_TYPE_COUNTS; ++k) {
        knobs.emplace_back(functions, CUDNN_BACKEND_KNOB_CHOICE_DESCRIPTOR, "a knob");
      }
      const size_t set =
          configurations[i].get_descriptors(CUDNN_ATTR_ENGINECFG_KNOB_CHOICES, knobs);
      for (size_t k = 0; k < set; ++k) {
        choice.knobs.emplace_back(static_cast<int64_t>(knobs[k].get<cudnnBackendKnobType_t>(
                                      CUDNN_ATTR_KNOB_CHOICE_KNOB_TYPE)),
                                  knobs[k].get<int64_t>(CUDNN_ATTR_KNOB_CHOICE_KNOB_VALUE));
      }
      if (std::find(found.begin(), found.end(), choice) != found.end()) continue;
      found.push_back(std::move(choice));
      ++taken;
    }
  };
  ask(CUDNN_HEUR_MODE_A);
  ask(CUDNN_HEUR_MODE_B);
  // Of float without TF32, the others name hardly any that may be used; this names the rest.
  if (found.size() < kTimedOfEachHeuristic) ask(CUDNN_HEUR_MODE_FALLBACK);
  return found;
}

// Nothing where cuDNN does not take the choice, or it needs more workspace than allowed.
std::optional<Plan> Cudnn::build(const Problem& problem, const Choice& choice) {
  std::vector<Descriptor> parts;
  Descriptor operations = graph(problem, choice.route, parts);

  Descriptor engine(functions, CUDNN_BACKEND_ENGINE_DESCRIPTOR, "an engine");
  engine.set(CUDNN_ATTR_ENGINE_OPERATION_GRAPH, operations);
  engine.set(CUDNN_ATTR_ENGINE_GLOBAL_INDEX, choice.engine);
  if (!engine.try_finalize()) return {};

  std::vector<cudnnBackendDescriptor_t> knobs;
  for (const auto& [knob, value] : choice.knobs) {
    Descriptor& setting =
        parts.emplace_back(functions, CUDNN_BACKEND_KNOB_CHOICE_DESCRIPTOR, "a knob");
    setting.set(CUDNN_ATTR_KNOB_CHOICE_KNOB_TYPE, static_cast<cudnnBackendKnobType_t>(knob));
    setting.set(CUDNN_ATTR_KNOB_CHOICE_KNOB_VALUE, value);
    if (!setting.try_finalize()) return {};
    knobs.push_back(setting.handle());
  }
  Descriptor configuration(functions, CUDNN_BACKEND_ENGINECFG_DESCRIPTOR,
                           "an engine configuration");
  configuration.set(CUDNN_ATTR_ENGINECFG_ENGINE, engine);
  if (!knobs.empty()) {
    configuration.set(CUDNN_ATTR_ENGINECFG_KNOB_CHOICES, knobs, CUDNN_TYPE_BACKEND_DESCRIPTOR);
  }
  if (!configuration.try_finalize()) return {};

  Descriptor plan(functions, CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR, "an execution plan");
  plan.set(CUDNN_ATTR_EXECUTION_PLAN_HANDLE, handle);
  plan.set(CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, configuration);
  if (!plan.try_finalize()) return {};

  const int64_t engine_bytes =
      rounded_up(plan.get<int64_t>(CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE));
  const int64_t scratch_bytes = choice.route == Route::kScratch
                                    ? rounded_up(problem.output_size() * size_of(problem.type))
                                    : 0;
  if (engine_bytes + scratch_bytes > workspace_limit) return {};
  parts.push_back(std::move(operations));
  parts.push_back(std::move(engine));
  parts.push_back(std::move(configuration));
  return Plan{choice.route, engine_bytes, engine_bytes + scratch_bytes, std::move(plan),
              std::move(parts)};
}

void Cudnn::execute(const Plan& plan, const Tensors& tensors, void* workspace) {
  std::vector<int64_t> names{kX, kW, kY};
  std::vector<void*> addresses{tensors.x, tensors.w, tensors.y};
  const auto add = [&](int64_t name, void* address) {
    if (!address || plan.route != Route::kDirect) return;
    names.push_back(name);
    addresses.push_back(address);
  };
  add(kBias, tensors.bias);
  add(kResidual, tensors.residual);
  Descriptor pack(functions, CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR, "the tensors of a plan");
  pack.set(CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, names);
  pack.set(CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, addresses, CUDNN_TYPE_VOID_PTR);
  pack.set(CUDNN_ATTR_VARIANT_PACK_WORKSPACE, {workspace}, CUDNN_TYPE_VOID_PTR);
  pack.finalize();
  functions.check(functions.execute(handle, plan.description.handle(), pack.handle()),
                  "cudnnBackendExecute");
}

void Cudnn::run(const Problem& problem, const Plan& plan, Tensors tensors, void* workspace) {
  if (plan.route == Route::kDirect) return execute(plan, tensors, workspace);
  if (plan.route == Route::kApart) {
    execute(plan, tensors, workspace);
    const auto apply = [&]<class T>(T* y) {
      const int64_t channels = problem.shape.out_channels;
      cuda::run(
          AddBias<T>{y, static_cast<const T*>(tensors.bias), y, problem.output_size() / channels,
                     channels, static_cast<const T*>(tensors.residual), problem.relu},
          stream);
    };
    problem.type == CUDNN_DATA_BFLOAT16 ? apply(static_cast<Bf16*>(tensors.y))
                                        : apply(static_cast<float*>(tensors.y));
    return;
  }
  void* const scratch = static_cast<char*>(workspace) + plan.engine_bytes;
  void*& output = problem.direction == Direction::kForward
                      ? tensors.y
                      : (problem.direction == Direction::kBackwardData ? tensors.x : tensors.w);
  void* const target = std::exchange(output, scratch);
  execute(plan, tensors, workspace);
  const int64_t size = problem.output_size();
  if (problem.type != problem.output_type) {
    cuda::run(Convert<Bf16, float>{static_cast<const Bf16*>(scratch),
                                   {static_cast<float*>(target), problem.accumulate},
                                   size},
              stream);
  } else if (problem.type == CUDNN_DATA_BFLOAT16) {
    cuda::run(Scale<Bf16>{static_cast<const Bf16*>(scratch),
                          nullptr,
                          {static_cast<Bf16*>(target), problem.accumulate},
                          size},
              stream);
  } else {
    cuda::run(Scale<float>{static_cast<const float*>(scratch),
                           nullptr,
                           {static_cast<float*>(target), problem.accumulate},
                           size},
              stream);
  }
}

// Times what the heuristics name, in memory of its own; nothing where cuDNN has no engine.
std::optional<Choice> Cudnn::tune(const Problem& problem) {
  std::vector<std::pair<Choice, Plan>> candidates;
  int64_t workspace_bytes = 0;
  const auto add = [&](Route route) {
    std::vector<Choice> named;
    try {
      named = choices(problem, route);
    } catch (const Error&) {  // a graph that this cuDNN does not take at all
      if (!problem.bias || route == Route::kApart) throw;
    }
    for (const Choice& choice : named) {
      std::optional<Plan> plan = build(problem, choice);
      if (!plan) continue;
      workspace_bytes = std::max(workspace_bytes, plan->workspace_bytes);
      candidates.emplace_back(choice, std::move(*plan));
    }
  };
  add(Route::kDirect);
  if (problem.accumulate || problem.type != problem.output_type) add(Route::kScratch);
  if (problem.bias) add(Route::kApart);
  if (candidates.empty()) return {};

  // Normal numbers: zeros would let the GPU clock higher than it does in training.
  const auto bytes = [&](Direction output_of, int64_t size) {
    return size * size_of(problem.direction == output_of ? problem.output_type : problem.type);
  };
  const int64_t sizes[] = {bytes(Direction::kBackwardData, problem.shape.x_size()),
                           bytes(Direction::kBackwardWeights, problem.shape.w_size()),
                           bytes(Direction::kForward, problem.shape.y_size()),
                           problem.bias ? problem.shape.out_channels * size_of(problem.type) : 0,
                           problem.residual ? problem.shape.y_size() * size_of(problem.type) : 0};
  const Memory x(sizes[0]), w(sizes[1]), y(sizes[2]), bias(sizes[3]), residual(sizes[4]),
      workspace(workspace_bytes);
  constexpr int64_t kPattern = 1 << 20;  // bytes
  std::vector<char> pattern(kPattern);
  RandomStream random(0, RandomPurpose::kNoise);
  for (int64_t at = 0; at < kPattern; at += size_of(problem.type)) {
    const float number = random.normal();
    const Bf16 rounded = to_bf16(number);
    const bool half = problem.type == CUDNN_DATA_BFLOAT16;
    std::memcpy(&pattern[static_cast<size_t>(at)],
                half ? static_cast<const void*>(&rounded) : &number,
                static_cast<size_t>(size_of(problem.type)));
  }
  const Tensors tensors{x.data, w.data, y.data, bias.data, residual.data};
  void* const memory[] = {x.data, w.data, y.data, bias.data, residual.data};
  for (int t = 0; t < 5; ++t) {
    char* const tensor = static_cast<char*>(memory[t]);
    int64_t filled = std::min(kPattern, sizes[t]);
    copy(tensor, pattern.data(), filled, stream);
    for (int64_t more = 0; filled < sizes[t]; filled += more) {
      more = std::min(filled, sizes[t] - filled);
      copy(tensor + filled, tensor, more, stream);
    }
  }

  std::optional<Choice> best;
  double best_time = 0;
  std::string failure;
  Event begin, end;
  for (const auto& [choice, plan] : candidates) {
    double time = 0;
    try {
      const auto time_of = [&](int runs) {
        begin.record(stream);
        for (int i = 0; i < runs; ++i) run(problem, plan, tensors, workspace.data);
        end.record(stream);
        return end.milliseconds_since(begin) / runs;
      };
      time_of(1);  // loads its code
      if (best && time_of(1) > kHopeless * best_time) continue;
      time = time_of(kTimedRuns);
    } catch (const Error& error) {  // cuDNN offers engines that it then cannot run
      failure = error.what();
      continue;
    }
    // Candidates of the direct route come first.
    const bool rounds_more =
        best && choice.route != Route::kDirect && best->route == Route::kDirect;
    if (!best || time < best_time * (rounds_more ? kDetourAdvantage : 1.0)) {
      best = choice;
      best_time = time;
    }
  }
  BASIN_CHECK(best, problem.text(), ": none of ", candidates.size(),
              " algorithms of cuDNN runs; the last: ", failure);
  return best;
}

const Plan& Cudnn::plan(const Problem& problem) {
  const std::string text = problem.text();
  const auto known = plans.find(text);
  if (known != plans.end()) return known->second;

  const std::string key = machine + ", " + text;
  if (const std::string kept = file.find(key); !kept.empty()) {
    if (const std::optional<Choice> choice = Choice::parse(kept)) {
      if (std::optional<Plan> plan = build(problem, *choice)) {
        return plans.emplace(text, std::move(*plan)).first->second;
      }
    }
    std::fprintf(stderr,
                 "basin: warning: cuDNN does not take \"%s\" of the plan file for %s; its "
                 "algorithm is chosen anew\n",
                 kept.c_str(), key.c_str());
  }
  BASIN_CHECK(!capturing(stream), text,
              ": its algorithm must be chosen before a step is captured; "
              "run the step once without");
  const std::optional<Choice> choice = tune(problem);
  BASIN_CHECK(choice, text, ": cuDNN ", functions.get_version(),
              " has no algorithm for it on this ", "GPU that always gives the same bits, with ",
              workspace_limit, " bytes of workspace");
  ++tuned;
  file.add(key, choice->text());
  std::optional<Plan> plan = build(problem, *choice);
  BASIN_CHECK(plan, text, ": cuDNN does not take a second time: ", choice->text());
  return plans.emplace(text, std::move(*plan)).first->second;
}

void check_cudnn() {
  Functions();
}

std::shared_ptr<Cudnn> open_cudnn(StreamHandle stream, const LibraryOptions& options) {
  return std::make_shared<Cudnn>(stream, options);
}

int64_t tuned(const Cudnn& cudnn) {
  return cudnn.tuned;
}

namespace {

template <class T>
constexpr cudnnDataType_t kType = std::is_same_v<T, Bf16> ? CUDNN_DATA_BFLOAT16 : CUDNN_DATA_FLOAT;

template <class T>
Problem problem_of(const Conv2dForward<T>& call) {
  return {Direction::kForward,
          call.shape,
          kType<T>,
          kType<T>,
          false,
          call.bias != nullptr,
          call.bias && call.residual,
          call.bias && call.relu};
}
template <class T>
Problem problem_of(const Conv2dBackwardData<T>& call) {
  return {Direction::kBackwardData, call.shape, kType<T>, kType<T>, call.accumulate};
}
template <class T>
Problem problem_of(const Conv2dBackwardWeights<T>& call) {
  return {Direction::kBackwardWeights, call.shape, kType<T>, kType<ParameterType<T>>,
          call.accumulate};
}

template <class Call>
void run_plan(const Call& call, const void* x, const void* w, const void* y, Libraries& libraries,
              const void* bias = nullptr, const void* residual = nullptr) {
  Cudnn& cudnn = libraries.cudnn();
  const Problem problem = problem_of(call);
  const Plan& plan = cudnn.plan(problem);
  for (const void* tensor : {x, w, y, bias, residual}) {
    BASIN_CHECK(reinterpret_cast<uintptr_t>(tensor) % kAlignment == 0, problem.text(),
                ": a tensor is not ", kAlignment, "-byte aligned");
  }
  BASIN_CHECK(call.workspace || plan.workspace_bytes == 0, problem.text(), ": needs ",
              plan.workspace_bytes, " bytes of workspace");
  // cuDNN takes all tensors as pointers to what may change; it writes the output alone.
  cudnn.run(problem, plan,
            {const_cast<void*>(x), const_cast<void*>(w), const_cast<void*>(y),
             const_cast<void*>(bias), const_cast<void*>(residual)},
            call.workspace);
}

}  // namespace

template <class T>
void run(const Conv2dForward<T>& call, Libraries& libraries) {
  run_plan(call, call.x, call.w, call.y, libraries, call.bias, call.bias ? call.residual : nullptr);
}
template <class T>
void run(const Conv2dBackwardData<T>& call, Libraries& libraries) {
  run_plan(call, call.dx, call.w, call.dy, libraries);
}
template <class T>
void run(const Conv2dBackwardWeights<T>& call, Libraries& libraries) {
  run_plan(call, call.x, call.dw, call.dy, libraries);
}

template <class T>
int64_t workspace_bytes(const Conv2dForward<T>& call, Libraries& libraries) {
  return libraries.cudnn().plan(problem_of(call)).workspace_bytes;
}
template <class T>
int64_t workspace_bytes(const Conv2dBackwardData<T>& call, Libraries& libraries) {
  return libraries.cudnn().plan(problem_of(call)).workspace_bytes;
}
template <class T>
int64_t workspace_bytes(const Conv2dBackwardWeights<T>& call, Libraries& libraries) {
  return libraries.cudnn().plan(problem_of(call)).workspace_bytes;
}

#define BASIN_INSTANTIATE(Call)               \
  template void run(const Call&, Libraries&); \
  template int64_t workspace_bytes(const Call&, Libraries&)
BASIN_INSTANTIATE(Conv2dForward<float>);
BASIN_INSTANTIATE(Conv2dForward<Bf16>);
BASIN_INSTANTIATE(Conv2dBackwardData<float>);
BASIN_INSTANTIATE(Conv2dBackwardData<Bf16>);
BASIN_INSTANTIATE(Conv2dBackwardWeights<float>);
BASIN_INSTANTIATE(Conv2dBackwardWeights<Bf16>);
#undef BASIN_INSTANTIATE

}  // namespace basin::cuda
