// Locking by flock(), which the system releases when a process dies.
#include "experiments/plan/lock.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include "kernels/base/check.h"

namespace basin {

ShareLock::ShareLock(const std::filesystem::path& folder, const Shard& shard) {
  const auto path = folder / fmt::format("share-{}-of-{}.lock", shard.index + 1, shard.count);
  descriptor_ = ::open(path.c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0666);
  BASIN_CHECK(descriptor_ >= 0, path.string(), ": cannot be created. Is the disk full?");
  if (::flock(descriptor_, LOCK_EX | LOCK_NB) == 0) return;
  ::close(descriptor_);
  throw Error(concat(folder.string(),
                     ": another process is at work on this share of the plan. "
                     "Wait for it, or choose another --shard or --out"));
}

ShareLock::~ShareLock() {
  ::close(descriptor_);
}

}  // namespace basin
