// Module criticality: how far back towards its start can a module go, and how wide is the valley
// there? Paper, section 3.4, Figure 6; Chatterji, Neyshabur, Sedghi, "The intriguing role of module
// criticality in the generalization of deep networks" (ICLR 2020).
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "data/dataset.h"
#include "experiments/program/options.h"
#include "experiments/program/session.h"

namespace basin {

// A place on a path at `distance` = ||theta - theta^0|| from its start, under noise N(0, sigma^2)
// on each weight. `loss`: the mean over the draws; NaN where it is known only to exceed the limit.
struct CriticalityCell {
  double distance, sigma, loss;
};
struct Criticality {
  double value;            // min of distance^2 / sigma^2
  double distance, sigma;  // where it is reached, at the smallest sigma of equals
};
// Over the cells with sigma > 0 and loss <= limit; nothing when there is none (infinitely
// critical). On the straight path distance = alpha*||theta^F - theta^0||: the definition's term.
std::optional<Criticality> criticality_of(std::span<const CriticalityCell> cells, double limit);

// A point of a piecewise linear curve: (1-share)*knot[segment] + share*knot[segment+1].
struct PathPoint {
  size_t segment;
  double share;
};
// `count` points of the curve through knots at `distances` from the first one, at equal steps of
// distance from it, from the first knot to the last. `steps[i]` = ||knot[i+1] - knot[i]||. Where
// the curve comes back, the last point at a distance counts: so the points follow the curve and end
// in its end. The last distance must not be zero.
std::vector<PathPoint> resample_path(std::span<const double> distances,
                                     std::span<const double> steps, int64_t count);

struct CriticalityOptions {
  std::filesystem::path run;  // folder of a training run
  data::DataOptions data;     // the run's; its training images are taken as the run took them
  std::vector<std::string> modules;  // empty: all
  int64_t images = 1000;             // training images; 0: all
  int64_t distances = 40;            // columns: equal steps from the start to the end point
  int64_t noise_levels = 20;         // rows: equal steps from 0 to noise_max
  double noise_max = 0.5;
  // relative: times ||theta_i|| / sqrt(size) of the module at the end point; absolute: as it is.
  std::string noise = "relative";
  int64_t draws = 1;                // of noise for a cell of the map
  std::string end_point = "final";  // or "best"; all other modules are taken from there
  std::string loss = "error";       // of the scalar, and its limit; or "cross-entropy"
  double tolerance = 0.01;          // the limit is (1 + tolerance) * the end point's loss
  bool scalar_only = false;         // no map: the scalar needs far fewer evaluations
  std::filesystem::path out;

  Options list();
};

// Writes heat.csv (module, path, column, row, distance, noise, loss, error, accuracy|auc: means
// over the draws), criticality.csv (module, path, criticality, alpha, sigma; sigma is that of a
// weight, whatever `noise` is; empty cells: no cell is admissible) and result.json with the sums
// over the modules. Paths: direct, the straight line from checkpoint 0; optimization, through the
// saved checkpoints. The scalar takes five draws at least, on the same grid. A module that did not
// move has criticality 0 and no map. A finished folder of the same settings is left as it is.
//
// Memory: all checkpoints of the run.
void run_criticality(const CriticalityOptions& options, Session& session);

}  // namespace basin
