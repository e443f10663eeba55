// The mark of a function that both CUDA kernels and host code call.
#pragma once

#ifdef __CUDACC__
#define BASIN_HOST_DEVICE __host__ __device__
#else
#define BASIN_HOST_DEVICE
#endif
