// --precision: in what numbers networks compute on a device.
#pragma once

#include <string>

#include "engine/tensor.h"
#include "kernels/device/stream.h"

namespace basin {

enum class Precision {
  kFp32,
  kTf32,  // fp32, but for products of convolutions and matrices: their factors have 10 bits
  kBf16,  // activations and weights as they are read; parameters, momentum and sums are fp32
};
const char* name_of(Precision precision);  // "fp32", "tf32", "bf16"

// The precision meant by "auto", "fp32", "tf32" or "bf16"; auto is bf16 on a GPU, else fp32. Throws
// Error for another name, and for one that the device does not compute in.
Precision precision_named(const std::string& name, Device device);

// As the type of activations, which decides the others.
DType activation_dtype(Precision precision);

}  // namespace basin
