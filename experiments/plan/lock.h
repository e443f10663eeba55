// One process per share of a plan: a second one would write the same files.
#pragma once

#include <filesystem>

#include "experiments/plan/plan.h"

namespace basin {

class ShareLock {
 public:
  // Holds the lock of the share in `folder` while it lives, and the process at most. Throws Error
  // when another process holds it.
  ShareLock(const std::filesystem::path& folder, const Shard& shard);
  ~ShareLock();
  ShareLock(const ShareLock&) = delete;
  ShareLock& operator=(const ShareLock&) = delete;

 private:
  int descriptor_;
};

}  // namespace basin
