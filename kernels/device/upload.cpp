// The two places of a double buffer, and what waits for what.
#include "kernels/device/upload.h"

#include "kernels/base/check.h"
#include "kernels/device/memory.h"
#ifdef BASIN_CUDA
#include <cstdio>

#include "kernels/device/cuda.h"
#endif

namespace basin {

struct UploadBuffer::Place {
  Place(int64_t bytes_, Device device_)
      : bytes(bytes_),
        device(device_),
        on_host(static_cast<std::byte*>(allocate_pinned(device, bytes))),
        on_device(static_cast<std::byte*>(allocate_memory(device, bytes))) {}
  ~Place() {
    release_memory(device, on_device, bytes);
    release_pinned(device, on_host);
  }
  Place(const Place&) = delete;
  Place& operator=(const Place&) = delete;

  int64_t bytes;
  Device device;
  std::byte *on_host, *on_device;
#ifdef BASIN_CUDA
  // On a GPU: the block has been copied; the calls that read it have run.
  std::unique_ptr<cuda::Event> copied, read;
#endif
};

UploadBuffer::UploadBuffer(int64_t bytes, Stream& stream) : stream_(stream), bytes_(bytes) {
#ifdef BASIN_CUDA
  if (stream.device() == Device::kCuda) copies_ = cuda::create_stream();
#endif
  for (auto& place : places_) place = std::make_unique<Place>(bytes, stream.device());
}

UploadBuffer::~UploadBuffer() {
#ifdef BASIN_CUDA
  if (!copies_) return;
  try {
    cuda::synchronize(copies_);
    cuda::synchronize(stream_.cuda_handle());
  } catch (const std::exception& error) {
    std::fprintf(stderr, "basin: %s\n", error.what());
  }
  cuda::destroy_stream(copies_);
#endif
}

std::byte* UploadBuffer::begin() {
  const Place& place = *places_[uploaded_ % 2];
#ifdef BASIN_CUDA
  if (place.copied) place.copied->synchronize();
#endif
  return place.on_host;
}

const std::byte* UploadBuffer::upload(int64_t bytes) {
  BASIN_CHECK(bytes <= bytes_, "a block of ", bytes, " bytes for a buffer of ", bytes_);
  Place& place = *places_[uploaded_ % 2];
#ifdef BASIN_CUDA
  if (copies_) {
    BASIN_CHECK(!stream_.capturing(), "a copy from the host inside a captured step");
    // All calls that read the block before have been queued.
    if (uploaded_ > 0) {
      Place& before = *places_[(uploaded_ - 1) % 2];
      if (!before.read) before.read = std::make_unique<cuda::Event>();
      before.read->record(stream_.cuda_handle());
    }
    if (place.read) place.read->hold(copies_);
    cuda::copy(place.on_device, place.on_host, bytes, copies_);
    if (!place.copied) place.copied = std::make_unique<cuda::Event>();
    place.copied->record(copies_);
    place.copied->hold(stream_.cuda_handle());
    ++uploaded_;
    return place.on_device;
  }
#endif
  stream_.copy_to_device(place.on_device, place.on_host, bytes);
  ++uploaded_;
  return place.on_device;
}

}  // namespace basin
