// Convolutions by cuDNN and matrix products by cuBLASLt: their handles, and which of the libraries'
// algorithms run each shape. No header of theirs is needed to use it.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "kernels/base/bf16.h"
#include "kernels/conv2d/call.h"
#include "kernels/device/declarations.h"
#include "kernels/gemm/call.h"

namespace basin::cuda {

// Throws Error, naming where they were looked for, where cuDNN or cuBLASLt is missing or too old.
void check_libraries();

struct LibraryOptions {
  // Products of floats in TF32 (10 bits of mantissa) on tensor cores instead of in float. Bf16 does
  // not care.
  bool allow_tf32 = false;
  // Algorithms that need more are not considered.
  int64_t workspace_limit = int64_t{1} << 30;
  // Where chosen algorithms are kept. Empty: nowhere, each process chooses anew.
  std::string plan_file;
};

struct Cudnn;   // kernels/conv2d/cudnn.cpp
struct Cublas;  // kernels/gemm/cublas.cpp

// The libraries on one stream. Not thread-safe. Only algorithms that give the same bits every time
// are used, and none that rounds operands or sums to fewer bits than asked for.
//
// The first time a convolution's shape is met, by run() or workspace_bytes(), all algorithms for it
// are timed in memory of their own, which is released again; the fastest is kept in the plan file,
// under everything the choice depends on. That takes up to seconds, and must not happen while the
// stream captures. A plan file that is damaged or of another format is reported on stderr, and
// written anew.
class Libraries {
 public:
  Libraries(StreamHandle stream, const LibraryOptions& options);
  ~Libraries();
  Libraries(const Libraries&) = delete;
  Libraries& operator=(const Libraries&) = delete;

  StreamHandle stream() const { return stream_; }
  const LibraryOptions& options() const { return options_; }
  int64_t tuned() const;  // shapes that were timed for this object, not found in the plan file

  Cudnn& cudnn() { return *cudnn_; }
  Cublas& cublas() { return *cublas_; }

 private:
  StreamHandle stream_;
  LibraryOptions options_;
  std::shared_ptr<Cudnn> cudnn_;
  std::shared_ptr<Cublas> cublas_;
};

// Queues the call, whose pointers point to device memory, 16-byte aligned. T: float or Bf16, sums
// in float; products of Bf16 also to float. Throws Error naming the call, its shape and what the
// library said.
template <class T>
void run(const Conv2dForward<T>& call, Libraries& libraries);
template <class T>
void run(const Conv2dBackwardData<T>& call, Libraries& libraries);
template <class T>
void run(const Conv2dBackwardWeights<T>& call, Libraries& libraries);
template <class T, class Output>
void run(const Gemm<T, Output>& call, Libraries& libraries);

// Bytes of workspace that run() wants of the call with this shape; its pointers do not matter.
template <class T>
int64_t workspace_bytes(const Conv2dForward<T>& call, Libraries& libraries);
template <class T>
int64_t workspace_bytes(const Conv2dBackwardData<T>& call, Libraries& libraries);
template <class T>
int64_t workspace_bytes(const Conv2dBackwardWeights<T>& call, Libraries& libraries);

}  // namespace basin::cuda
