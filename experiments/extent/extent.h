// How far does the basin of two solutions reach? The (epsilon, delta)-basin of the paper, section
// 3.3, Definition 3.1, estimated on the segment of the line through both.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "data/dataset.h"
#include "experiments/program/options.h"
#include "experiments/program/session.h"

namespace basin {

// A loss l around the line w(lambda) = w1 + lambda*(w2 - w1) in n dimensions.
class LineLoss {
 public:
  virtual ~LineLoss() = default;
  // l(w(lambda)) for each lambda.
  virtual std::vector<double> on_line(const std::vector<double>& lambdas) = 0;
  // l(w(lambda) + deviation*g) for each lambda with `draws` draws g ~ N(0, I_n) of its own: those
  // of the first lambda, then of the next. The same g for every deviation.
  virtual std::vector<double> with_noise(const std::vector<double>& lambdas, double deviation,
                                         int64_t draws) = 0;
};

struct ExtentGrid {
  double low = -1, high = 2, step = 0.05;  // of lambda; 0 and 1 are among its points
  double tolerance = 0.005;  // by which the loss in S may exceed its maximum on [0, 1]
  int64_t noise_draws = 5;   // of v, for either end of S
  int64_t deltas = 10;       // delta = k * 0.01 * sqrt(n), k = 1..deltas
  // Where set, condition 1 is judged by it, and no delta is searched for a segment that fails.
  std::optional<double> threshold_epsilon = std::nullopt;
};

struct LinePoint {
  double lambda, loss;
};

// Condition 2's and 3's mean loss less the mean loss in S; both must reach 2*epsilon.
struct DeltaPoint {
  double delta, delta_per_coordinate;  // the second: delta / sqrt(n), the noise of one weight
  double noise_loss, extrapolation_loss;
};

struct BasinEstimate {
  std::vector<LinePoint> line;  // the whole grid
  // S: the longest run of grid points around [0, 1] with l <= max over [0, 1] + tolerance.
  double low, high;
  // S ends where the grid does: it may reach farther.
  bool low_is_open, high_is_open;
  double mean_loss;  // mu, over S
  double epsilon;    // mean |l - mu| over S: the least for which condition 1 holds
  // Not worse than the threshold_epsilon, where there is one.
  bool meets_condition_1;
  // In the order of the grid, up to the first that meets conditions 2 and 3.
  std::vector<DeltaPoint> deltas;
  std::optional<double> delta;  // that one
};

// The points of the grid; 0 and 1 exactly, each between low and high. Throws Error when the step
// does not meet them.
std::vector<double> grid_lambdas(const ExtentGrid& grid);

// Estimates as follows. S is the segment {w(lambda): low <= lambda <= high}, U_S uniform on its
// grid points; a ray through S leaves it at one of the two ends, each as likely. `distance` is
// ||w2 - w1||, n `dimensions`. |z| of condition 3's steps |delta*z|, z ~ N(0, 1), come from
// `low_steps` and `high_steps`, one for each draw outwards at that end.
BasinEstimate estimate_basin(LineLoss& loss, const ExtentGrid& grid, double distance,
                             int64_t dimensions, const std::vector<double>& low_steps,
                             const std::vector<double>& high_steps);

struct ExtentOptions {
  std::filesystem::path from, to;  // checkpoints or run folders: w1, w2
  data::DataOptions data;          // test images
  std::string model;
  std::array<double, 2> range = {-1, 2};
  double step = 0.05, tolerance = 0.005;
  int64_t noise_draws = 5;
  std::string loss = "error";                              // or "cross-entropy"
  std::optional<double> threshold_epsilon = std::nullopt;  // as in ExtentGrid: of another pair
  std::filesystem::path out;

  Options list();
};

// Writes extent.csv (lambda, loss, error), deltas.csv and result.json. A finished folder of the
// same settings is left as it is. Throws Error when both networks are the same.
void run_extent(const ExtentOptions& options, Session& session);

}  // namespace basin
