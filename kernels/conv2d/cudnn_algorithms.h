// Which of cuDNN's algorithms computes a convolution: named by its heuristics, chosen by time, kept
// in a file.
#pragma once

#include <cstdint>
#include <list>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "kernels/conv2d/algorithm_file.h"
#include "kernels/conv2d/cudnn_graph.h"
#include "kernels/device/stream.h"

namespace basin::cuda {

// kDirect writes the output. kApart, for a forward with an epilogue, is the convolution alone and
// then a kernel that applies the epilogue in place, for where no engine takes the whole graph, or
// none is quick with it. kScratch writes the output in the type of the inputs into the workspace,
// and a kernel converts it from there, or adds it to the output. The last two round once more, so
// they must be clearly faster than kDirect where both exist. cuDNN 9.19 computes weight gradients
// of bf16 in bf16 alone, so those need kScratch.
enum class Route { kDirect, kScratch, kApart };

// An engine of cuDNN and its settings. Its text is what the file keeps.
struct Algorithm {
  Route route;
  int64_t engine;
  std::vector<std::pair<int64_t, int64_t>> knobs;  // (knob, value)

  bool operator==(const Algorithm&) const = default;
  std::string text() const;
  // Nothing where the text is not one that text() writes.
  static std::optional<Algorithm> parse(const std::string& text);
};

// An algorithm that is ready to run.
struct BuiltAlgorithm {
  Route route;
  int64_t engine_bytes;  // of workspace; the scratch output comes after it
  int64_t workspace_bytes;
  Descriptor execution;
  std::list<Descriptor> parts;  // what it refers to
};

// Memory of the tensors of a problem; null: it has none.
struct Tensors {
  void *x, *w, *y, *bias, *residual;
};

// cuDNN on one stream. Not thread-safe. Only algorithms that give the same bits every time are
// used, and none that rounds operands or sums to fewer bits than asked for.
class CudnnConvolutions {
 public:
  explicit CudnnConvolutions(Stream& stream);
  ~CudnnConvolutions();
  CudnnConvolutions(const CudnnConvolutions&) = delete;
  CudnnConvolutions& operator=(const CudnnConvolutions&) = delete;

  // The first time a problem is met and the file does not know it, all algorithms are timed in
  // memory of their own, which is released again. That takes up to seconds, and throws Error while
  // the stream captures.
  const BuiltAlgorithm& algorithm(const ConvolutionProblem& problem, Stream& stream);
  void run(const ConvolutionProblem& problem, const BuiltAlgorithm& algorithm, Tensors tensors,
           void* workspace, Stream& stream);

 private:
  std::vector<Algorithm> candidates(const ConvolutionProblem& problem, Route route);
  std::optional<BuiltAlgorithm> build(const ConvolutionProblem& problem,
                                      const Algorithm& algorithm);
  std::optional<Algorithm> fastest(const ConvolutionProblem& problem, Stream& stream);
  void execute(const BuiltAlgorithm& algorithm, const Tensors& tensors, void* workspace);

  StreamOptions options_;
  cudnnHandle_t handle_ = nullptr;
  std::string machine_;  // the part of a key that is the same for all problems
  AlgorithmFile file_;
  std::map<std::string, BuiltAlgorithm> built_;  // by text of the problem
};

}  // namespace basin::cuda
