// Streams of the three devices.
#include "kernels/device/stream.h"

#include <cstring>
#include <utility>
#include <vector>

#include "kernels/base/check.h"
#include "kernels/device/memory.h"
#ifdef BASIN_CUDA
#include "kernels/device/cuda.h"
#include "kernels/device/libraries.h"
#endif

namespace basin {
namespace {

class RecordedCalls final : public CapturedCalls {
 public:
  std::vector<std::function<void()>> calls;
};

#ifdef BASIN_CUDA
class CapturedGraph final : public CapturedCalls {
 public:
  explicit CapturedGraph(std::shared_ptr<cuda::Graph> graph_) : graph(std::move(graph_)) {}
  std::shared_ptr<cuda::Graph> graph;
};
#endif

}  // namespace

const char* name_of(Device device) {
  switch (device) {
    case Device::kCuda:
      return "cuda";
    case Device::kEmulated:
      return "emulated";
    default:
      return "cpu";
  }
}

Device device_named(const std::string& name) {
  if (name == "cpu") return Device::kCpu;
  if (name == "emulated") return Device::kEmulated;
  BASIN_CHECK(name == "auto" || name == "cuda",
              "--device must be auto, cpu, cuda or emulated, got ", name);
#ifdef BASIN_CUDA
  std::string why_none;
  if (cuda::device_count(&why_none) > 0) {
    cuda::require_usable();
    return Device::kCuda;
  }
  BASIN_CHECK(name == "auto", "--device cuda: ", why_none, ". --device cpu needs no GPU");
#else
  BASIN_CHECK(name == "auto",
              "--device cuda: this program was built without CUDA. Build it where nvcc is, with "
              "cmake --preset cuda && cmake --build --preset cuda, or use --device cpu");
#endif
  return Device::kCpu;
}

std::string describe(Device device) {
  if (device == Device::kEmulated) return "emulated, CUDA kernels on the CPU: for tests, slow";
#ifdef BASIN_CUDA
  if (device == Device::kCuda) {
    const cuda::DeviceInfo info = cuda::describe();
    auto version = [](int number) { return concat(number / 1000, ".", number % 1000 / 10); };
    return concat("cuda, ", info.name, ", compute capability ", info.compute_major, ".",
                  info.compute_minor, ", ", info.multiprocessors, " multiprocessors, ",
                  info.memory_bytes >> 20, " MiB, ", info.free_bytes >> 20,
                  " MiB of it free, driver for CUDA ", version(info.driver_version), ", CUDA ",
                  version(info.runtime_version));
  }
#endif
  return name_of(device);
}

struct Stream::Resources {
  std::shared_ptr<RecordedCalls> recording;  // of the emulated device, while it captures
#ifdef BASIN_CUDA
  StreamHandle handle = nullptr;
  std::unique_ptr<cuda::Libraries> libraries;
  bool capturing = false;
  ~Resources() {
    libraries.reset();
    if (handle) cuda::destroy_stream(handle);
  }
#endif
};

Stream::Stream(Device device, [[maybe_unused]] const StreamOptions& options)
    : device_(device), resources_(std::make_unique<Resources>()) {
  if (device != Device::kCuda) return;
#ifdef BASIN_CUDA
  cuda::require_usable();
  resources_->handle = cuda::create_stream();
  cuda::LibraryOptions libraries;
  libraries.allow_tf32 = options.allow_tf32;
  libraries.plan_file = options.plan_file;
  resources_->libraries = std::make_unique<cuda::Libraries>(resources_->handle, libraries);
#else
  device_named("cuda");  // throws and says why
#endif
}

Stream::~Stream() = default;
Stream::Stream(Stream&&) noexcept = default;
Stream& Stream::operator=(Stream&&) noexcept = default;

void Stream::check_not_capturing(const char* what) const {
  BASIN_CHECK(!capturing(), what,
              " inside a captured step: it would happen once, and not again when the step is "
              "replayed");
}

void Stream::copy_to_device(void* to, const void* from, int64_t bytes) {
  check_not_capturing("a copy from the host");
#ifdef BASIN_CUDA
  if (device_ == Device::kCuda) return cuda::copy(to, from, bytes, resources_->handle);
#endif
  if (device_ == Device::kEmulated) {
    const emulated::MemoryAccess access;
    std::memcpy(to, from, static_cast<size_t>(bytes));
    return;
  }
  std::memcpy(to, from, static_cast<size_t>(bytes));
}

void Stream::copy_to_host(void* to, const void* from, int64_t bytes) {
  check_not_capturing("a copy to the host");
  ++waits_;
#ifdef BASIN_CUDA
  if (device_ == Device::kCuda) {
    cuda::copy(to, from, bytes, resources_->handle);
    cuda::synchronize(resources_->handle);
    return;
  }
#endif
  if (device_ == Device::kEmulated) {
    const emulated::MemoryAccess access;
    std::memcpy(to, from, static_cast<size_t>(bytes));
    return;
  }
  std::memcpy(to, from, static_cast<size_t>(bytes));
}

void Stream::copy(void* to, const void* from, int64_t bytes) {
#ifdef BASIN_CUDA
  if (device_ == Device::kCuda) return cuda::copy(to, from, bytes, resources_->handle);
#endif
  auto run = [=] { std::memcpy(to, from, static_cast<size_t>(bytes)); };
  device_ == Device::kEmulated ? run_emulated(run) : run();
}

void Stream::zero(void* to, int64_t bytes) {
#ifdef BASIN_CUDA
  if (device_ == Device::kCuda) return cuda::zero(to, bytes, resources_->handle);
#endif
  auto run = [=] { std::memset(to, 0, static_cast<size_t>(bytes)); };
  device_ == Device::kEmulated ? run_emulated(run) : run();
}

void Stream::synchronize() {
  check_not_capturing("waiting for the device");
  ++waits_;
#ifdef BASIN_CUDA
  if (device_ == Device::kCuda) cuda::synchronize(resources_->handle);
#endif
}

void Stream::run_emulated(std::function<void()> call) {
  if (resources_->recording) {
    resources_->recording->calls.push_back(std::move(call));
    return;
  }
  const emulated::MemoryAccess access;
  call();
}

void Stream::begin_capture() {
  BASIN_CHECK(device_ != Device::kCpu, "the CPU captures no calls");
  check_not_capturing("a second capture");
#ifdef BASIN_CUDA
  if (device_ == Device::kCuda) {
    cuda::begin_capture(resources_->handle);
    resources_->capturing = true;
    return;
  }
#endif
  resources_->recording = std::make_shared<RecordedCalls>();
}

std::shared_ptr<const CapturedCalls> Stream::end_capture() {
  BASIN_CHECK(capturing(), "no capture has begun");
#ifdef BASIN_CUDA
  if (device_ == Device::kCuda) {
    resources_->capturing = false;
    return std::make_shared<CapturedGraph>(cuda::end_capture(resources_->handle));
  }
#endif
  return std::exchange(resources_->recording, nullptr);
}

bool Stream::capturing() const {
#ifdef BASIN_CUDA
  if (resources_->capturing) return true;
#endif
  return resources_->recording != nullptr;
}

void Stream::replay(const CapturedCalls& calls) {
  check_not_capturing("a replay");
#ifdef BASIN_CUDA
  if (device_ == Device::kCuda) {
    return cuda::launch(*dynamic_cast<const CapturedGraph&>(calls).graph, resources_->handle);
  }
#endif
  for (const auto& call : dynamic_cast<const RecordedCalls&>(calls).calls) run_emulated(call);
}

#ifdef BASIN_CUDA
StreamHandle Stream::cuda_handle() const {
  return resources_->handle;
}
cuda::Libraries& Stream::libraries() const {
  return *resources_->libraries;
}
#endif

}  // namespace basin
