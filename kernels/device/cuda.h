// The CUDA device as the engine sees it: what there is, memory, streams, captured steps, time. No
// CUDA header is needed to use it. Every function throws Error, with the CUDA call, the name of its
// error and a remedy; those that release something write to stderr instead.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "kernels/device/declarations.h"

namespace basin::cuda {

struct DeviceInfo {
  std::string name;
  int compute_major, compute_minor, multiprocessors;
  int64_t memory_bytes, free_bytes;
  int driver_version, runtime_version;  // as CUDA numbers them: 13000 is 13.0
};

// GPUs that can be used; 0 without a driver or a GPU, and then *why_none, unless null, says why in
// words. Never throws.
int device_count(std::string* why_none);

// GPU 0, the only one that is used. CUDA_VISIBLE_DEVICES says which one that is.
DeviceInfo describe();

// Throws Error, in one line, where this program cannot run on GPU 0: there is none, the driver is
// too old, no code for this GPU was compiled, cuDNN or cuBLASLt is missing.
void require_usable();

// Memory of the GPU, 256-byte aligned, contents undefined; null for 0 bytes. Waits for the GPU:
// nothing of a step.
void* allocate(int64_t bytes);
void release(void* memory);

// Host memory that the GPU reads and writes directly, so that copies of it do not block the host.
void* allocate_pinned(int64_t bytes);
void release_pinned(void* memory);

// A queue of its own, which does not wait for the default stream.
StreamHandle create_stream();
void destroy_stream(StreamHandle stream);
// Waits until everything queued has finished; faults of kernels are thrown here.
void synchronize(StreamHandle stream);

// Queues a copy in any direction. From or to pageable host memory it may block until it is done.
void copy(void* to, const void* from, int64_t bytes, StreamHandle stream);
// Queues `bytes` zeros.
void zero(void* to, int64_t bytes, StreamHandle stream);

// What was queued between begin_capture() and end_capture(): it did not run then, and runs as a
// whole, with the same addresses, each time it is launched.
class Graph {
 public:
  Graph(const Graph&) = delete;
  Graph& operator=(const Graph&) = delete;
  ~Graph();
  int64_t nodes() const { return nodes_; }  // kernels, copies and fills

 private:
  explicit Graph(void* executable, int64_t nodes) : executable_(executable), nodes_(nodes) {}
  friend std::shared_ptr<Graph> end_capture(StreamHandle);
  friend void launch(const Graph&, StreamHandle);
  void* executable_;
  int64_t nodes_;
};
// While a stream captures, its thread must neither allocate nor synchronize.
void begin_capture(StreamHandle stream);
std::shared_ptr<Graph> end_capture(StreamHandle stream);
bool capturing(StreamHandle stream);
void launch(const Graph& graph, StreamHandle stream);

// A point in a stream, to measure the time between two.
class Event {
 public:
  Event();
  ~Event();
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;
  void record(StreamHandle stream);
  void synchronize() const;  // waits until the stream has come here
  // What is queued on `stream` from now on runs when the stream of this event has come here.
  void hold(StreamHandle stream) const;
  // Milliseconds on the GPU from `begin` to here; both were recorded. Waits for this event.
  double milliseconds_since(const Event& begin) const;

 private:
  void* event_;
};

}  // namespace basin::cuda
