// GPU 0 by the CUDA runtime: what it is, memory, streams, captured steps, events.
#include "kernels/device/cuda.h"

#include <cuda_runtime.h>

#include <algorithm>
#include <cstdio>

#include "kernels/base/check.h"
#include "kernels/device/backend.h"

namespace basin::cuda {
namespace {

// What a user can do about an error of CUDA; empty where nothing general can be said.
const char* remedy(cudaError_t error) {
  switch (error) {
    case cudaErrorMemoryAllocation:
      return "; use a smaller batch, or end other programs that use the GPU (nvidia-smi lists "
             "them)";
    case cudaErrorInsufficientDriver:
      return "; install a newer NVIDIA driver, or use --device cpu";
    case cudaErrorNoDevice:
    case cudaErrorInitializationError:
      return "; check that nvidia-smi lists a GPU, or use --device cpu";
    case cudaErrorNoKernelImageForDevice:
    case cudaErrorInvalidDeviceFunction:
      return "; build with -DCMAKE_CUDA_ARCHITECTURES=native on this machine";
    case cudaErrorIllegalAddress:
    case cudaErrorMisalignedAddress:
    case cudaErrorLaunchFailure:
    case cudaErrorIllegalInstruction:
    case cudaErrorAssert:
      return "; a kernel is faulty: compute-sanitizer in front of the command names it";
    case cudaErrorStreamCaptureUnsupported:
    case cudaErrorStreamCaptureInvalidated:
    case cudaErrorStreamCaptureImplicit:
      return "; something of the step cannot be captured: run without capture";
    default:
      return "";
  }
}

std::string message(cudaError_t error, const std::string& call) {
  return concat(call, ": ", cudaGetErrorName(error), ", ", cudaGetErrorString(error),
                remedy(error));
}

template <class... Parts>
void check(cudaError_t error, const Parts&... call) {
  if (error == cudaSuccess) return;
  cudaGetLastError();  // else the next launch would report this error, too
  throw Error(message(error, concat(call...)));
}

// For what must not throw.
void report(cudaError_t error, const char* call) {
  // At the end of the process the driver may have gone first, and has then released everything.
  if (error == cudaSuccess || error == cudaErrorCudartUnloading) return;
  cudaGetLastError();
  std::fprintf(stderr, "basin: %s\n", message(error, call).c_str());
}

// Fails to launch where the program holds no code for the GPU.
__global__ void probe() {}

std::string version_text(int version) {
  return concat(version / 1000, ".", version % 1000 / 10);
}

}  // namespace

int device_count(std::string* why_none) {
  int count = 0;
  const cudaError_t error = cudaGetDeviceCount(&count);
  if (error == cudaSuccess && count > 0) return count;
  cudaGetLastError();
  if (why_none) {
    int driver = 0;
    cudaDriverGetVersion(&driver);
    if (driver == 0) {
      *why_none = "there is no NVIDIA driver";
    } else if (error == cudaErrorInsufficientDriver) {
      *why_none = concat("the NVIDIA driver supports CUDA ", version_text(driver),
                         ", this program needs ", version_text(CUDART_VERSION));
    } else if (error == cudaErrorNoDevice || error == cudaSuccess) {
      *why_none = "there is an NVIDIA driver, but no GPU that it shows (CUDA_VISIBLE_DEVICES?)";
    } else {
      *why_none = message(error, "cudaGetDeviceCount");
    }
  }
  return 0;
}

DeviceInfo describe() {
  cudaDeviceProp properties;
  check(cudaGetDeviceProperties(&properties, 0), "cudaGetDeviceProperties");
  check(cudaSetDevice(0), "cudaSetDevice(0)");
  size_t free = 0, total = 0;
  check(cudaMemGetInfo(&free, &total), "cudaMemGetInfo");
  DeviceInfo info{properties.name,
                  properties.major,
                  properties.minor,
                  properties.multiProcessorCount,
                  static_cast<int64_t>(total),
                  static_cast<int64_t>(free),
                  0,
                  0};
  check(cudaDriverGetVersion(&info.driver_version), "cudaDriverGetVersion");
  check(cudaRuntimeGetVersion(&info.runtime_version), "cudaRuntimeGetVersion");
  return info;
}

void require_usable() {
  std::string why;
  BASIN_CHECK(device_count(&why) > 0, "the CUDA device cannot be used: ", why,
              "; use --device cpu, or a machine with an NVIDIA GPU and its driver");
  cudaFuncAttributes attributes;
  const cudaError_t error = cudaFuncGetAttributes(&attributes, probe);
  if (error == cudaErrorNoKernelImageForDevice || error == cudaErrorInvalidDeviceFunction ||
      error == cudaErrorUnsupportedPtxVersion) {
    cudaGetLastError();
    const DeviceInfo info = describe();
    throw Error(concat("the CUDA device cannot be used: this program was compiled for compute ",
                       "capabilities ", BASIN_CUDA_ARCHITECTURES, ", and ", info.name, " has ",
                       info.compute_major, ".", info.compute_minor,
                       "; build with -DCMAKE_CUDA_ARCHITECTURES=native on this machine"));
  }
  check(error, "cudaFuncGetAttributes");
  check_cudnn();
  check_cublas();
}

void* allocate(int64_t bytes) {
  if (bytes == 0) return nullptr;
  void* memory = nullptr;
  check(cudaMalloc(&memory, static_cast<size_t>(bytes)), "cudaMalloc of ", bytes, " bytes");
  return memory;
}

void release(void* memory) {
  report(cudaFree(memory), "cudaFree");
}

namespace {

// A CUDA graph that is ready to be launched.
class CapturedGraph final : public CapturedCalls {
 public:
  explicit CapturedGraph(cudaGraphExec_t graph_) : graph(graph_) {}
  ~CapturedGraph() override { report(cudaGraphExecDestroy(graph), "cudaGraphExecDestroy"); }
  cudaGraphExec_t graph;
};

class CudaQueue final : public Queue {
 public:
  // Does not wait for the default stream.
  CudaQueue() {
    check(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "cudaStreamCreateWithFlags");
  }
  ~CudaQueue() override {
    contexts.clear();
    report(cudaStreamDestroy(stream_), "cudaStreamDestroy");
  }
  StreamHandle cuda_handle() const override { return stream_; }

  // In any direction. From or to pageable host memory it may block until it is done.
  void transfer(void* to, const void* from, int64_t bytes) override {
    if (bytes == 0) return;
    check(cudaMemcpyAsync(to, from, static_cast<size_t>(bytes), cudaMemcpyDefault, stream_),
          "cudaMemcpyAsync of ", bytes, " bytes");
  }
  void copy(void* to, const void* from, int64_t bytes) override { transfer(to, from, bytes); }
  void zero(void* to, int64_t bytes) override {
    if (bytes == 0) return;
    check(cudaMemsetAsync(to, 0, static_cast<size_t>(bytes), stream_), "cudaMemsetAsync of ", bytes,
          " bytes");
  }
  // Faults of kernels are thrown here.
  void synchronize() override { check(cudaStreamSynchronize(stream_), "cudaStreamSynchronize"); }

  // While a stream captures, its thread must neither allocate nor synchronize.
  void begin_capture() override {
    check(cudaStreamBeginCapture(stream_, cudaStreamCaptureModeThreadLocal),
          "cudaStreamBeginCapture");
  }
  std::shared_ptr<const CapturedCalls> end_capture() override {
    cudaGraph_t graph = nullptr;
    check(cudaStreamEndCapture(stream_, &graph), "cudaStreamEndCapture");
    cudaGraphExec_t executable = nullptr;
    const cudaError_t error = cudaGraphInstantiate(&executable, graph, 0);
    report(cudaGraphDestroy(graph), "cudaGraphDestroy");
    check(error, "cudaGraphInstantiate");
    return std::make_shared<CapturedGraph>(executable);
  }
  void replay(const CapturedCalls& calls) override {
    check(cudaGraphLaunch(dynamic_cast<const CapturedGraph&>(calls).graph, stream_),
          "cudaGraphLaunch");
  }

 private:
  cudaStream_t stream_ = nullptr;
};

class CudaEvent final : public Event {
 public:
  CudaEvent() { check(cudaEventCreate(&event_), "cudaEventCreate"); }
  ~CudaEvent() override { report(cudaEventDestroy(event_), "cudaEventDestroy"); }
  void record(const Stream& stream) override {
    check(cudaEventRecord(event_, stream.cuda_handle()), "cudaEventRecord");
  }
  void synchronize() const override { check(cudaEventSynchronize(event_), "cudaEventSynchronize"); }
  void hold(const Stream& stream) const override {
    check(cudaStreamWaitEvent(stream.cuda_handle(), event_, 0), "cudaStreamWaitEvent");
  }
  double seconds_since(const Event& begin) const override {
    synchronize();
    float milliseconds = 0;
    check(cudaEventElapsedTime(&milliseconds, dynamic_cast<const CudaEvent&>(begin).event_, event_),
          "cudaEventElapsedTime");
    return 1e-3 * milliseconds;
  }

 private:
  cudaEvent_t event_ = nullptr;
};

class CudaBackend final : public Backend {
 public:
  std::string describe() const override {
    const DeviceInfo info = cuda::describe();
    return concat("cuda, ", info.name, ", compute capability ", info.compute_major, ".",
                  info.compute_minor, ", ", info.multiprocessors, " multiprocessors, ",
                  info.memory_bytes >> 20, " MiB, ", info.free_bytes >> 20,
                  " MiB of it free, driver for CUDA ", version_text(info.driver_version), ", CUDA ",
                  version_text(info.runtime_version));
  }
  std::unique_ptr<Queue> make_queue() const override {
    require_usable();
    return std::make_unique<CudaQueue>();
  }
  std::unique_ptr<Event> make_event() const override { return std::make_unique<CudaEvent>(); }
  void* allocate(int64_t bytes) const override {
    return cuda::allocate(std::max<int64_t>(bytes, 1));
  }
  void release(void* memory, int64_t) const override { cuda::release(memory); }
  void* allocate_pinned(int64_t bytes) const override {
    void* memory = nullptr;
    check(cudaHostAlloc(&memory, static_cast<size_t>(std::max<int64_t>(bytes, 1)),
                        cudaHostAllocPortable),
          "cudaHostAlloc of ", bytes, " bytes of host memory");
    return memory;
  }
  void release_pinned(void* memory) const override { report(cudaFreeHost(memory), "cudaFreeHost"); }
  int64_t memory_bytes() const override { return cuda::describe().memory_bytes; }
};

}  // namespace
}  // namespace basin::cuda

namespace basin {

const Backend& cuda_backend() {
  static const cuda::CudaBackend backend;
  return backend;
}

}  // namespace basin
