// Beta draws.
#include "data/mixup.h"

#include <cmath>

namespace basin::data {

namespace {

// The logarithm of a draw from Gamma(shape, 1), by Marsaglia and Tsang (2000). A logarithm, since
// draws of a small shape are too small for a double.
double draw_log_gamma(double shape, RandomStream& random) {
  if (shape < 1) {  // Gamma(shape) = Gamma(shape + 1) * U^(1 / shape)
    const double uniform = (random.bits() + 1.0) * 0x1p-32;
    return draw_log_gamma(shape + 1, random) + std::log(uniform) / shape;
  }
  const double d = shape - 1.0 / 3.0, c = 1.0 / std::sqrt(9.0 * d);
  while (true) {
    const double z = random.normal();
    const double root = 1.0 + c * z;
    if (root <= 0) continue;
    const double v = root * root * root;
    const double uniform = (random.bits() + 1.0) * 0x1p-32;
    if (std::log(uniform) < 0.5 * z * z + d - d * v + d * std::log(v)) return std::log(d * v);
  }
}

}  // namespace

double draw_beta(double a, double b, RandomStream& random) {
  const double log_x = draw_log_gamma(a, random), log_y = draw_log_gamma(b, random);
  return 1.0 / (1.0 + std::exp(log_y - log_x));  // x / (x + y)
}

}  // namespace basin::data
