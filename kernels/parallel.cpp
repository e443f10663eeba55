// The number of threads of the CPU kernels.
#include "kernels/parallel.h"

#include "kernels/check.h"

namespace basin {
namespace {
int thread_count = 1;
}

void set_threads(int threads) {
  BASIN_CHECK(threads >= 1 && threads <= 4096, "threads must be in 1..4096, got ", threads);
  thread_count = threads;
#ifdef _OPENMP
  omp_set_num_threads(threads);
#endif
}

int threads() {
  return thread_count;
}

}  // namespace basin
