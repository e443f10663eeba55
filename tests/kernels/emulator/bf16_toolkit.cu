// The CUDA toolkit's own conversions of bfloat16, on the host.
#include <cuda_bf16.h>

#include <cstdint>

uint16_t toolkit_to_bf16(float value) {
  const __nv_bfloat16_raw raw = __float2bfloat16(value);
  return raw.x;
}

float toolkit_to_float(uint16_t bits) {
  __nv_bfloat16_raw raw;
  raw.x = bits;
  return __bfloat162float(__nv_bfloat16(raw));
}
