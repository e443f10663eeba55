// The messages of the emulator.
#include "kernels/emulator/fault.h"

#include <cstdio>

namespace basin::emulator {
namespace {

std::string thread_text(int thread, dim3 size) {
  const auto index = static_cast<unsigned>(thread);
  char text[120];
  std::snprintf(text, sizeof(text), "thread (%u, %u, %u), which is lane %u of warp %u,",
                index % size.x, index / size.x % size.y, index / size.x / size.y, index % 32,
                index / 32);
  return text;
}

std::string place_text(const Place& place, dim3 size) {
  std::string text = thread_text(place.thread, size) + " " + place.state;
  if (place.site.file) text += " at " + describe(place.site);
  if (place.warp_operation) {
    char mask[40];
    std::snprintf(mask, sizeof(mask), " with mask 0x%08X", place.mask);
    text += mask;
  }
  return text;
}

}  // namespace

std::string describe(Site site) {
  std::string file = site.file;
  const size_t slash = file.rfind('/');
  const size_t folder =
      slash == std::string::npos || slash == 0 ? slash : file.rfind('/', slash - 1);
  if (folder != std::string::npos) file.erase(0, folder + 1);
  return file + ":" + std::to_string(site.line);
}

std::string describe(const Fault& fault, dim3 block_size, Site launch) {
  char block[80];
  std::snprintf(block, sizeof(block), "block (%u, %u, %u)", fault.block.x, fault.block.y,
                fault.block.z);
  std::string text = "kernel launched at " + describe(launch) + ", " + block + ": " + fault.rule;
  if (fault.detail) text += std::string(" (") + fault.detail + ")";
  if (fault.first.thread >= 0) text += ": " + place_text(fault.first, block_size);
  if (fault.second.thread >= 0) text += "; " + place_text(fault.second, block_size);
  return text;
}

}  // namespace basin::emulator
