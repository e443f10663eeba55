// Runs the calls of the kernel cases on a GPU. The cases keep their buffers on the host; for each
// call, the buffers that its pointers point into are copied to the GPU with their guards, the call
// runs on the copies, and they are copied back. So the cases are the same on every device.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <list>
#include <memory>
#include <set>
#include <type_traits>
#include <vector>

#include "kernels/device/cuda.h"
#include "kernels/device/declarations.h"

namespace basin::test {

// The bytes of a buffer of a case, guards included, which is found by addresses in it.
class HostBytes : public std::vector<std::byte> {
 public:
  HostBytes() { live().insert(this); }
  HostBytes(const HostBytes& other) : std::vector<std::byte>(other) { live().insert(this); }
  HostBytes& operator=(const HostBytes&) = default;
  HostBytes& operator=(const std::vector<std::byte>& other) {
    std::vector<std::byte>::operator=(other);
    return *this;
  }
  ~HostBytes() { live().erase(this); }

  // The buffer that `address` lies in; null if in none.
  static HostBytes* around(const std::byte* address) {
    for (HostBytes* bytes : live()) {
      if (address >= bytes->data() && address < bytes->data() + bytes->size()) return bytes;
    }
    return nullptr;
  }

 private:
  static std::set<HostBytes*>& live() {
    static std::set<HostBytes*> all;
    return all;
  }
};

// The GPU of a test program.
class GpuRuns {
 public:
  // `guard`: bytes at both ends of a buffer that no kernel may touch.
  explicit GpuRuns(int64_t guard) : guard_(guard) {}
  GpuRuns(const GpuRuns&) = delete;
  GpuRuns& operator=(const GpuRuns&) = delete;

  Stream& stream() { return stream_; }
  bool capture = false;         // calls are captured into a graph, which is then launched
  bool without_guards = false;  // so that compute-sanitizer sees each access outside of a buffer
  int64_t runs = 0;

  // Runs `call` on `stream`, or on that of this object, with its pointers into buffers replaced.
  template <class Call>
  void run(const Call& call) {
    run(call, stream_);
  }
  template <class Call>
  void run(const Call& call, Stream& stream) {
    static_assert(std::is_trivially_copyable_v<Call>);
    Call on_gpu = call;
    std::list<Copy> copies;
    const int64_t skipped = without_guards ? guard_ : 0;
    // Every aligned word that is an address in a buffer is a pointer: no count or number is.
    for (size_t at = 0; at + sizeof(void*) <= sizeof(Call); at += sizeof(void*)) {
      std::byte* address = nullptr;
      std::memcpy(&address, reinterpret_cast<const char*>(&call) + at, sizeof(address));
      HostBytes* const host = HostBytes::around(address);
      if (!host) continue;
      Copy* copy = nullptr;
      for (Copy& each : copies) {
        if (each.host == host) copy = &each;
      }
      if (!copy) {
        copy = &copies.emplace_back(host, skipped);
        stream.copy_to_device(copy->on_gpu, host->data() + skipped, copy->bytes);
      }
      std::byte* const replaced = copy->on_gpu + (address - host->data() - skipped);
      std::memcpy(reinterpret_cast<char*>(&on_gpu) + at, &replaced, sizeof(replaced));
    }
    if (capture) {
      stream.begin_capture();
      cuda::run(on_gpu, stream);
      stream.replay(*stream.end_capture());
    } else {
      cuda::run(on_gpu, stream);
    }
    for (const Copy& copy : copies) {
      stream.copy_to_host(copy.host->data() + skipped, copy.on_gpu, copy.bytes);
    }
    ++runs;
  }

 private:
  // A buffer, or what is between its guards, on the GPU.
  struct Copy {
    Copy(HostBytes* host_, int64_t skipped)
        : host(host_),
          bytes(static_cast<int64_t>(host->size()) - 2 * skipped),
          on_gpu(static_cast<std::byte*>(cuda::allocate(bytes))) {}
    ~Copy() { cuda::release(on_gpu); }
    Copy(const Copy&) = delete;
    Copy& operator=(const Copy&) = delete;
    HostBytes* host;
    int64_t bytes;
    std::byte* on_gpu;
  };

  int64_t guard_;
  Stream stream_{Device::kCuda};
};

// Made by the main function where there is a GPU.
inline std::unique_ptr<GpuRuns> gpu_runs;

}  // namespace basin::test

// What the cases know as device::run on a GPU.
namespace basin::on_gpu {
template <class Call>
void run(const Call& call) {
  test::gpu_runs->run(call);
}
}  // namespace basin::on_gpu
