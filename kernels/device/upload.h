// Blocks of bytes from the host to the device, one after the other, while calls of a stream run.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "kernels/device/stream.h"

namespace basin {

// Two places on either side, taken in turn, so that a block is written and copied while calls work
// on the one before it. Blocks are copied by a stream of its own, on a GPU from pinned memory.
class UploadBuffer {
 public:
  // Blocks of up to `bytes`, for calls on `stream`, which outlives this.
  UploadBuffer(int64_t bytes, Stream& stream);
  ~UploadBuffer();
  UploadBuffer(const UploadBuffer&) = delete;
  UploadBuffer& operator=(const UploadBuffer&) = delete;

  // Where the next block is to be written, on the host. Waits until the block before the last has
  // been copied, if it has not yet: so far the host may run ahead of the device.
  std::byte* begin();
  // Copies the first `bytes` of it. Calls queued on the stream from now on, until the next
  // upload(), find them at the address returned, in device memory. Not in a captured step.
  const std::byte* upload(int64_t bytes);

 private:
  struct Place;
  Stream& stream_;
  int64_t bytes_, uploaded_ = 0;
  Stream copies_;
  std::unique_ptr<Place> places_[2];
};

}  // namespace basin
