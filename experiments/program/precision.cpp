// Names of precisions, and which devices have them.
#include "experiments/program/precision.h"

namespace basin {

const char* name_of(Precision precision) {
  switch (precision) {
    case Precision::kTf32:
      return "tf32";
    case Precision::kBf16:
      return "bf16";
    default:
      return "fp32";
  }
}

Precision precision_named(const std::string& name, Device device) {
  if (name == "auto") return device == Device::kCuda ? Precision::kBf16 : Precision::kFp32;
  if (name == "fp32") return Precision::kFp32;
  if (name == "tf32") {
    BASIN_CHECK(device == Device::kCuda, "--precision tf32: the device ", name_of(device),
                " has no tensor cores. Use --precision fp32, or --device cuda");
    return Precision::kTf32;
  }
  BASIN_CHECK(name == "bf16", "--precision must be auto, fp32, tf32 or bf16, got ", name);
  BASIN_CHECK(device != Device::kCpu,
              "--precision bf16: the CPU computes in fp32. Use --precision fp32, or --device cuda "
              "or emulated");
  return Precision::kBf16;
}

DType activation_dtype(Precision precision) {
  return precision == Precision::kBf16 ? DType::kBF16 : DType::kF32;
}

}  // namespace basin
