// cuDNN's heuristics name engines with settings for a problem. Those with forbidden numerical notes
// are dropped, the rest is built and timed. The text of an algorithm is all that it is built from,
// whether it was timed or read from the file.
#include "kernels/conv2d/cudnn_algorithms.h"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <sstream>

#include "kernels/base/bf16.h"
#include "kernels/base/check.h"
#include "kernels/base/random.h"
#include "kernels/convert/call.h"
#include "kernels/device/cuda.h"
#include "kernels/device/declarations.h"
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

constexpr const char* kRouteNames[] = {"direct", "scratch", "apart"};

int64_t rounded_up(int64_t bytes) {
  return (bytes + 255) / 256 * 256;
}

// Device memory for the time of a scope.
struct Memory {
  explicit Memory(int64_t bytes) : data(static_cast<char*>(allocate(bytes))) {}
  // Normal numbers: zeros would let the GPU clock higher than it does in training.
  Memory(int64_t size, cudnnDataType_t type, Stream& stream) : Memory(size * size_of(type)) {
    constexpr int64_t kPattern = 1 << 20;  // bytes
    const bool half = type == CUDNN_DATA_BFLOAT16;
    std::vector<char> pattern(kPattern);
    RandomStream random(0, RandomPurpose::kNoise);
    for (int64_t at = 0; at < kPattern; at += size_of(type)) {
      const float number = random.normal();
      const Bf16 rounded = to_bf16(number);
      std::memcpy(&pattern[static_cast<size_t>(at)],
                  half ? static_cast<const void*>(&rounded) : &number,
                  static_cast<size_t>(size_of(type)));
    }
    const int64_t bytes = size * size_of(type);
    int64_t filled = std::min(kPattern, bytes);
    stream.copy_to_device(data, pattern.data(), filled);
    for (int64_t more = 0; filled < bytes; filled += more) {
      more = std::min(filled, bytes - filled);
      stream.copy(data + filled, data, more);
    }
  }
  ~Memory() { release(data); }
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;
  char* data;
};

}  // namespace

std::string Algorithm::text() const {
  std::ostringstream out;
  out << kRouteNames[static_cast<int>(route)] << " engine " << engine;
  for (const auto& [knob, value] : knobs) out << ' ' << knob << ':' << value;
  return out.str();
}

std::optional<Algorithm> Algorithm::parse(const std::string& text) {
  std::istringstream in(text);
  std::string route, word;
  Algorithm algorithm{};
  if (!(in >> route >> word >> algorithm.engine) || word != "engine") return {};
  const auto name = std::find(std::begin(kRouteNames), std::end(kRouteNames), route);
  if (name == std::end(kRouteNames)) return {};
  algorithm.route = static_cast<Route>(name - std::begin(kRouteNames));
  while (in >> std::ws, !in.eof()) {
    std::pair<int64_t, int64_t> knob;
    char colon = 0;
    if (!(in >> knob.first >> colon >> knob.second) || colon != ':') return {};
    algorithm.knobs.push_back(knob);
  }
  return algorithm;
}

CudnnConvolutions::CudnnConvolutions(Stream& stream)
    : options_(stream.options()), file_(options_.plan_file) {
  cudnn().check(cudnn().create(&handle_), "cudnnCreate");
  cudnn().check(cudnn().set_stream(handle_, stream.cuda_handle()), "cudnnSetStream");
  const DeviceInfo info = describe();
  machine_ = concat("cuDNN ", cudnn().get_version(), ", ", info.name, " ", info.compute_major, ".",
                    info.compute_minor, " with ", info.multiprocessors, " multiprocessors, ",
                    options_.allow_tf32 ? "TF32" : "no TF32", ", workspace up to ",
                    options_.workspace_limit);
}

CudnnConvolutions::~CudnnConvolutions() {
  built_.clear();
  cudnn().destroy(handle_);
}

// What cuDNN's heuristics name for a problem, without what must not be used; best guess first.
std::vector<Algorithm> CudnnConvolutions::candidates(const ConvolutionProblem& problem,
                                                     Route route) {
  std::list<Descriptor> parts;
  const Descriptor graph = operation_graph(problem, route == Route::kDirect, handle_, parts);
  const auto forbidden = [&](cudnnBackendNumericalNote_t note) {
    switch (note) {
      case CUDNN_NUMERICAL_NOTE_TENSOR_CORE:  // of float: TF32
        return problem.type == CUDNN_DATA_FLOAT && !options_.allow_tf32;
      case CUDNN_NUMERICAL_NOTE_STRICT_NAN_PROP:
        return false;
      // Not the same bits each time; operands or sums in fewer bits; transforms that magnify
      // rounding. Notes that a newer cuDNN adds are forbidden, too.
      default:
        return true;
    }
  };

  std::vector<Algorithm> found;
  const auto ask = [&](cudnnBackendHeurMode_t mode) {
    Descriptor heuristic(CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR, "a heuristic",
                         CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, graph, CUDNN_ATTR_ENGINEHEUR_MODE,
                         mode);
    if (!heuristic.try_finalize()) return;  // it knows nothing about the problem
    const int64_t most = heuristic.count(CUDNN_ATTR_ENGINEHEUR_RESULTS);
    if (most == 0) return;
    size_t taken = 0;
    for (const Descriptor& configuration : heuristic.get_descriptors(
             CUDNN_ATTR_ENGINEHEUR_RESULTS, CUDNN_BACKEND_ENGINECFG_DESCRIPTOR,
             "an engine configuration", most)) {
      if (taken == kTimedOfEachHeuristic) break;
      const std::vector<Descriptor> engine = configuration.get_descriptors(
          CUDNN_ATTR_ENGINECFG_ENGINE, CUDNN_BACKEND_ENGINE_DESCRIPTOR, "an engine", 1);
      const auto notes = engine.at(0).get_all<cudnnBackendNumericalNote_t>(
          CUDNN_ATTR_ENGINE_NUMERICAL_NOTE, CUDNN_NUMERICAL_NOTE_TYPE_COUNT);
      if (std::any_of(notes.begin(), notes.end(), forbidden)) continue;
      Algorithm algorithm{route, engine[0].get<int64_t>(CUDNN_ATTR_ENGINE_GLOBAL_INDEX), {}};
      for (const Descriptor& knob : configuration.get_descriptors(
               CUDNN_ATTR_ENGINECFG_KNOB_CHOICES, CUDNN_BACKEND_KNOB_CHOICE_DESCRIPTOR, "a knob",
               CUDNN_KNOB_TYPE_COUNTS)) {
        algorithm.knobs.emplace_back(
            knob.get<cudnnBackendKnobType_t>(CUDNN_ATTR_KNOB_CHOICE_KNOB_TYPE),
            knob.get<int64_t>(CUDNN_ATTR_KNOB_CHOICE_KNOB_VALUE));
      }
      if (std::find(found.begin(), found.end(), algorithm) != found.end()) continue;
      found.push_back(std::move(algorithm));
      ++taken;
    }
  };
  ask(CUDNN_HEUR_MODE_A);
  ask(CUDNN_HEUR_MODE_B);
  // Of float without TF32, the others name hardly any that may be used; this names the rest.
  if (found.size() < kTimedOfEachHeuristic) ask(CUDNN_HEUR_MODE_FALLBACK);
  return found;
}

// Nothing where cuDNN does not take the algorithm, or it needs more workspace than allowed.
std::optional<BuiltAlgorithm> CudnnConvolutions::build(const ConvolutionProblem& problem,
                                                       const Algorithm& algorithm) {
  std::list<Descriptor> parts;
  const Descriptor& graph = parts.emplace_back(
      operation_graph(problem, algorithm.route == Route::kDirect, handle_, parts));
  Descriptor& engine = parts.emplace_back(CUDNN_BACKEND_ENGINE_DESCRIPTOR, "an engine",
                                          CUDNN_ATTR_ENGINE_OPERATION_GRAPH, graph,
                                          CUDNN_ATTR_ENGINE_GLOBAL_INDEX, algorithm.engine);
  if (!engine.try_finalize()) return {};

  std::vector<const Descriptor*> knobs;
  for (const auto& [knob, value] : algorithm.knobs) {
    Descriptor& setting = parts.emplace_back(
        CUDNN_BACKEND_KNOB_CHOICE_DESCRIPTOR, "a knob", CUDNN_ATTR_KNOB_CHOICE_KNOB_TYPE,
        static_cast<cudnnBackendKnobType_t>(knob), CUDNN_ATTR_KNOB_CHOICE_KNOB_VALUE, value);
    if (!setting.try_finalize()) return {};
    knobs.push_back(&setting);
  }
  Descriptor& configuration =
      parts.emplace_back(CUDNN_BACKEND_ENGINECFG_DESCRIPTOR, "an engine configuration",
                         CUDNN_ATTR_ENGINECFG_ENGINE, engine);
  if (!knobs.empty()) configuration.set(CUDNN_ATTR_ENGINECFG_KNOB_CHOICES, knobs);
  if (!configuration.try_finalize()) return {};

  Descriptor execution(CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR, "an execution plan",
                       CUDNN_ATTR_EXECUTION_PLAN_HANDLE, handle_,
                       CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, configuration);
  if (!execution.try_finalize()) return {};

  const int64_t engine_bytes =
      rounded_up(execution.get<int64_t>(CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE));
  const int64_t scratch_bytes = algorithm.route == Route::kScratch
                                    ? rounded_up(problem.output_size() * size_of(problem.type))
                                    : 0;
  if (engine_bytes + scratch_bytes > options_.workspace_limit) return {};
  return BuiltAlgorithm{algorithm.route, engine_bytes, engine_bytes + scratch_bytes,
                        std::move(execution), std::move(parts)};
}

void CudnnConvolutions::execute(const BuiltAlgorithm& algorithm, const Tensors& tensors,
                                void* workspace) {
  std::vector<int64_t> names{kX, kW, kY};
  std::vector<void*> addresses{tensors.x, tensors.w, tensors.y};
  const auto add = [&](int64_t name, void* address) {
    if (!address || algorithm.route != Route::kDirect) return;
    names.push_back(name);
    addresses.push_back(address);
  };
  add(kBias, tensors.bias);
  add(kResidual, tensors.residual);
  Descriptor pack(CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR, "the tensors of an execution",
                  CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, names, CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS,
                  addresses, CUDNN_ATTR_VARIANT_PACK_WORKSPACE, std::vector<void*>{workspace});
  pack.finalize();
  cudnn().check(cudnn().execute(handle_, algorithm.execution.handle(), pack.handle()),
                "cudnnBackendExecute");
}

void CudnnConvolutions::run(const ConvolutionProblem& problem, const BuiltAlgorithm& algorithm,
                            Tensors tensors, void* workspace, Stream& stream) {
  const int64_t size = problem.output_size();
  // Calls body<T>() for the type of the inputs.
  const auto in_type = [&](const auto& body) {
    problem.type == CUDNN_DATA_BFLOAT16 ? body(Bf16()) : body(float());
  };
  if (algorithm.route != Route::kScratch) {
    execute(algorithm, tensors, workspace);
    if (algorithm.route == Route::kDirect) return;
    in_type([&]<class T>(T) {
      const int64_t channels = problem.shape.out_channels;
      T* y = static_cast<T*>(tensors.y);
      cuda::run(AddBias<T>{.x = y,
                           .bias = static_cast<const T*>(tensors.bias),
                           .y = y,
                           .rows = size / channels,
                           .columns = channels,
                           .residual = static_cast<const T*>(tensors.residual),
                           .relu = problem.relu},
                stream);
    });
    return;
  }
  void* const scratch = static_cast<char*>(workspace) + algorithm.engine_bytes;
  void*& output = problem.direction == Direction::kForward        ? tensors.y
                  : problem.direction == Direction::kBackwardData ? tensors.x
                                                                  : tensors.w;
  void* const target = std::exchange(output, scratch);
  execute(algorithm, tensors, workspace);
  if (problem.type != problem.output_type) {
    cuda::run(Convert<Bf16, float>{.x = static_cast<const Bf16*>(scratch),
                                   .y = {static_cast<float*>(target), problem.accumulate},
                                   .size = size},
              stream);
    return;
  }
  in_type([&]<class T>(T) {
    cuda::run(Scale<T>{.x = static_cast<const T*>(scratch),
                       .y = {static_cast<T*>(target), problem.accumulate},
                       .size = size},
              stream);
  });
}

// Times what the heuristics name; nothing where cuDNN has no engine.
std::optional<Algorithm> CudnnConvolutions::fastest(const ConvolutionProblem& problem,
                                                    Stream& stream) {
  std::vector<std::pair<Algorithm, BuiltAlgorithm>> built;
  int64_t workspace_bytes = 0;
  const auto add = [&](Route route) {
    std::vector<Algorithm> named;
    try {
      named = candidates(problem, route);
    } catch (const Error&) {  // a graph that this cuDNN does not take at all
      if (!problem.bias || route == Route::kApart) throw;
    }
    for (const Algorithm& algorithm : named) {
      std::optional<BuiltAlgorithm> one = build(problem, algorithm);
      if (!one) continue;
      workspace_bytes = std::max(workspace_bytes, one->workspace_bytes);
      built.emplace_back(algorithm, std::move(*one));
    }
  };
  add(Route::kDirect);
  if (problem.accumulate || problem.type != problem.output_type) add(Route::kScratch);
  if (problem.bias) add(Route::kApart);
  if (built.empty()) return {};

  const Conv2dShape& s = problem.shape;
  const auto memory = [&](int64_t size, std::optional<Direction> output_of) {
    return Memory(size, problem.direction == output_of ? problem.output_type : problem.type,
                  stream);
  };
  const Memory x = memory(s.x_size(), Direction::kBackwardData),
               w = memory(s.w_size(), Direction::kBackwardWeights),
               y = memory(s.y_size(), Direction::kForward),
               bias = memory(problem.bias ? s.out_channels : 0, {}),
               residual = memory(problem.residual ? s.y_size() : 0, {}), workspace(workspace_bytes);
  const Tensors tensors{x.data, w.data, y.data, bias.data, residual.data};

  std::optional<Algorithm> best;
  double best_time = 0;
  std::string failure;
  const auto begin = make_event(Device::kCuda), end = make_event(Device::kCuda);
  for (const auto& [algorithm, ready] : built) {
    double time = 0;
    try {
      const auto time_of = [&, &ready = ready](int runs) {
        begin->record(stream);
        for (int i = 0; i < runs; ++i) run(problem, ready, tensors, workspace.data, stream);
        end->record(stream);
        return end->seconds_since(*begin) / runs;
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
        best && algorithm.route != Route::kDirect && best->route == Route::kDirect;
    if (!best || time < best_time * (rounds_more ? kDetourAdvantage : 1.0)) {
      best = algorithm;
      best_time = time;
    }
  }
  BASIN_CHECK(best, problem.text(), ": none of ", built.size(),
              " algorithms of cuDNN runs; the last: ", failure);
  return best;
}

const BuiltAlgorithm& CudnnConvolutions::algorithm(const ConvolutionProblem& problem,
                                                   Stream& stream) {
  const std::string text = problem.text();
  const auto known = built_.find(text);
  if (known != built_.end()) return known->second;

  const std::string key = machine_ + ", " + text;
  if (const std::string kept = file_.find(key); !kept.empty()) {
    if (const std::optional<Algorithm> algorithm = Algorithm::parse(kept)) {
      if (std::optional<BuiltAlgorithm> ready = build(problem, *algorithm)) {
        return built_.emplace(text, std::move(*ready)).first->second;
      }
    }
    std::fprintf(stderr,
                 "basin: warning: cuDNN does not take \"%s\" of the plan file for %s; its "
                 "algorithm is chosen again\n",
                 kept.c_str(), key.c_str());
  }
  BASIN_CHECK(!stream.capturing(), text,
              ": its algorithm must be chosen before a step is captured; "
              "run the step once without");
  const std::optional<Algorithm> chosen = fastest(problem, stream);
  BASIN_CHECK(chosen, text, ": cuDNN ", cudnn().get_version(), " has no algorithm for it on this ",
              "GPU that always gives the same bits, with ", options_.workspace_limit,
              " bytes of workspace");
  file_.add(key, chosen->text());
  std::optional<BuiltAlgorithm> ready = build(problem, *chosen);
  BASIN_CHECK(ready, text, ": cuDNN does not take a second time: ", chosen->text());
  return built_.emplace(text, std::move(*ready)).first->second;
}

}  // namespace basin::cuda
