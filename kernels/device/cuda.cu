// GPU 0 by the CUDA runtime: what it is, memory, streams, captured steps, events.
#include "kernels/device/cuda.h"

#include <cuda_runtime.h>

#include <cstdio>

#include "kernels/base/check.h"
#include "kernels/device/libraries.h"

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

cudaEvent_t event_of(void* event) {
  return static_cast<cudaEvent_t>(event);
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
  check_libraries();
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

void* allocate_pinned(int64_t bytes) {
  if (bytes == 0) return nullptr;
  void* memory = nullptr;
  check(cudaHostAlloc(&memory, static_cast<size_t>(bytes), cudaHostAllocPortable),
        "cudaHostAlloc of ", bytes, " bytes of host memory");
  return memory;
}

void release_pinned(void* memory) {
  report(cudaFreeHost(memory), "cudaFreeHost");
}

StreamHandle create_stream() {
  cudaStream_t stream = nullptr;
  check(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "cudaStreamCreateWithFlags");
  return stream;
}

void destroy_stream(StreamHandle stream) {
  report(cudaStreamDestroy(stream), "cudaStreamDestroy");
}

void synchronize(StreamHandle stream) {
  check(cudaStreamSynchronize(stream), "cudaStreamSynchronize");
}

void copy(void* to, const void* from, int64_t bytes, StreamHandle stream) {
  if (bytes == 0) return;
  check(cudaMemcpyAsync(to, from, static_cast<size_t>(bytes), cudaMemcpyDefault, stream),
        "cudaMemcpyAsync of ", bytes, " bytes");
}

void zero(void* to, int64_t bytes, StreamHandle stream) {
  if (bytes == 0) return;
  check(cudaMemsetAsync(to, 0, static_cast<size_t>(bytes), stream), "cudaMemsetAsync of ", bytes,
        " bytes");
}

Graph::~Graph() {
  report(cudaGraphExecDestroy(static_cast<cudaGraphExec_t>(executable_)), "cudaGraphExecDestroy");
}

void begin_capture(StreamHandle stream) {
  check(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal), "cudaStreamBeginCapture");
}

std::shared_ptr<Graph> end_capture(StreamHandle stream) {
  cudaGraph_t graph = nullptr;
  check(cudaStreamEndCapture(stream, &graph), "cudaStreamEndCapture");
  size_t nodes = 0;
  cudaGraphExec_t executable = nullptr;
  cudaError_t error = cudaGraphGetNodes(graph, nullptr, &nodes);
  if (error == cudaSuccess) error = cudaGraphInstantiate(&executable, graph, 0);
  report(cudaGraphDestroy(graph), "cudaGraphDestroy");
  check(error, "cudaGraphInstantiate of ", nodes, " nodes");
  return std::shared_ptr<Graph>(new Graph(executable, static_cast<int64_t>(nodes)));
}

bool capturing(StreamHandle stream) {
  cudaStreamCaptureStatus status = cudaStreamCaptureStatusNone;
  check(cudaStreamIsCapturing(stream, &status), "cudaStreamIsCapturing");
  return status != cudaStreamCaptureStatusNone;
}

void launch(const Graph& graph, StreamHandle stream) {
  check(cudaGraphLaunch(static_cast<cudaGraphExec_t>(graph.executable_), stream),
        "cudaGraphLaunch");
}

Event::Event() : event_(nullptr) {
  cudaEvent_t event = nullptr;
  check(cudaEventCreate(&event), "cudaEventCreate");
  event_ = event;
}

Event::~Event() {
  report(cudaEventDestroy(event_of(event_)), "cudaEventDestroy");
}

void Event::record(StreamHandle stream) {
  check(cudaEventRecord(event_of(event_), stream), "cudaEventRecord");
}

void Event::synchronize() const {
  check(cudaEventSynchronize(event_of(event_)), "cudaEventSynchronize");
}

void Event::hold(StreamHandle stream) const {
  check(cudaStreamWaitEvent(stream, event_of(event_), 0), "cudaStreamWaitEvent");
}

double Event::milliseconds_since(const Event& begin) const {
  synchronize();
  float milliseconds = 0;
  check(cudaEventElapsedTime(&milliseconds, event_of(begin.event_), event_of(event_)),
        "cudaEventElapsedTime");
  return milliseconds;
}

}  // namespace basin::cuda
