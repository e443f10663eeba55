// The two places of a double buffer, and what waits for what.
#include "kernels/device/upload.h"

#include <cstdio>

#include "kernels/base/check.h"
#include "kernels/device/memory.h"
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
  // The block has been copied; the calls that read it have run.
  std::unique_ptr<Event> copied = make_event(device), read = make_event(device);
};

UploadBuffer::UploadBuffer(int64_t bytes, Stream& stream)
    : stream_(stream), bytes_(bytes), copies_(stream.device()) {
  for (auto& place : places_) place = std::make_unique<Place>(bytes, stream.device());
}

UploadBuffer::~UploadBuffer() {
  try {
    copies_.synchronize();
    const auto last = make_event(stream_.device());
    last->record(stream_);
    last->synchronize();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "basin: %s\n", error.what());
  }
}

std::byte* UploadBuffer::begin() {
  const Place& place = *places_[uploaded_ % 2];
  place.copied->synchronize();
  return place.on_host;
}

const std::byte* UploadBuffer::upload(int64_t bytes) {
  BASIN_CHECK(bytes <= bytes_, "a block of ", bytes, " bytes for a buffer of ", bytes_);
  BASIN_CHECK(!stream_.capturing(), "a copy from the host inside a captured step");
  Place& place = *places_[uploaded_ % 2];
  // All calls that read the block before have been queued.
  if (uploaded_ > 0) places_[(uploaded_ - 1) % 2]->read->record(stream_);
  place.read->hold(copies_);
  copies_.copy_to_device(place.on_device, place.on_host, bytes);
  place.copied->record(copies_);
  place.copied->hold(stream_);
  ++uploaded_;
  return place.on_device;
}

}  // namespace basin
