// What cuda_libraries.cpp takes from the files of the two libraries.
#pragma once

#include "kernels/device/libraries.h"

namespace basin::cuda {

// Throw Error where the library is missing or too old.
void check_cudnn();
void check_cublas();

std::shared_ptr<Cudnn> open_cudnn(StreamHandle stream, const LibraryOptions& options);
std::shared_ptr<Cublas> open_cublas(const LibraryOptions& options);
int64_t tuned(const Cudnn& cudnn);

}  // namespace basin::cuda
