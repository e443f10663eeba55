// Devices by name, and streams: the same for every device, on what backend.h asks of each.
#include "kernels/device/stream.h"

#include <utility>

#include "kernels/base/check.h"
#include "kernels/device/backend.h"
#ifdef BASIN_CUDA
#include "kernels/device/cuda.h"
#endif

namespace basin {

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

const Backend& backend_of(Device device) {
  if (device == Device::kCpu) return cpu_backend();
  if (device == Device::kEmulated) return emulated_backend();
#ifdef BASIN_CUDA
  return cuda_backend();
#else
  throw Error(
      "--device cuda: this program was built without CUDA. Build it where nvcc is, with "
      "cmake --preset cuda && cmake --build --preset cuda, or use --device cpu");
#endif
}

Device device_named(const std::string& name) {
  for (const Device device : {Device::kCpu, Device::kEmulated}) {
    if (name == name_of(device)) return device;
  }
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
  if (name == "cuda") backend_of(Device::kCuda);  // throws and says why
#endif
  return Device::kCpu;
}

std::string describe(Device device) {
  return backend_of(device).describe();
}

std::unique_ptr<Event> make_event(Device device) {
  return backend_of(device).make_event();
}

Stream::Stream(Device device, const StreamOptions& options)
    : device_(device),
      options_(options),
      queue_(backend_of(device).make_queue()),
      cuda_handle_(queue_->cuda_handle()) {}

Stream::~Stream() = default;
Stream::Stream(Stream&&) noexcept = default;
Stream& Stream::operator=(Stream&&) noexcept = default;

void Stream::check_not_capturing(const char* what) const {
  BASIN_CHECK(!capturing_, what,
              " inside a captured step: it would happen once, and not again when the step is "
              "replayed");
}

void Stream::copy_to_device(void* to, const void* from, int64_t bytes) {
  check_not_capturing("a copy from the host");
  queue_->transfer(to, from, bytes);
}

void Stream::copy_to_host(void* to, const void* from, int64_t bytes) {
  check_not_capturing("a copy to the host");
  ++waits_;
  queue_->transfer(to, from, bytes);
  queue_->synchronize();
}

void Stream::copy(void* to, const void* from, int64_t bytes) {
  queue_->copy(to, from, bytes);
}

void Stream::zero(void* to, int64_t bytes) {
  queue_->zero(to, bytes);
}

void Stream::synchronize() {
  check_not_capturing("waiting for the device");
  ++waits_;
  queue_->synchronize();
}

void Stream::run_emulated(std::function<void()> call) {
  queue_->run_emulated(std::move(call));
}

void Stream::begin_capture() {
  check_not_capturing("a second capture");
  queue_->begin_capture();
  capturing_ = true;
}

std::shared_ptr<const CapturedCalls> Stream::end_capture() {
  BASIN_CHECK(capturing_, "no capture has begun");
  capturing_ = false;
  return queue_->end_capture();
}

void Stream::replay(const CapturedCalls& calls) {
  check_not_capturing("a replay");
  queue_->replay(calls);
}

std::shared_ptr<void>& Stream::context_slot(std::type_index type) {
  return queue_->contexts[type];
}

}  // namespace basin
