// Distance of two networks in parameter space. Paper, section 3.2, Table 2.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "engine/state.h"
#include "experiments/program/csv.h"
#include "experiments/program/options.h"
#include "experiments/program/session.h"

namespace basin {

struct Distance {
  std::string module;               // "all", "all_but_fc", then each module
  double distance, norm_a, norm_b;  // l2, not normalised
};

// Parameters only, no running statistics. When the two differ in the shape of fc, as fine-tuned and
// pre-trained network may, `with_fc` is false: "all" and "fc" are left out, and fc's weights are
// not read.
std::vector<Distance> distances(const State& a, const State& b, bool with_fc);

// Distances of two checkpoints or run folders; with fc where both have the same classes.
std::vector<Distance> checkpoint_distances(const std::filesystem::path& a,
                                           const std::filesystem::path& b, const std::string& model,
                                           Session& session);

// A distance beside the sizes that make modules comparable.
struct ScaledDistance {
  Distance raw;
  int64_t parameters;         // of the module
  double relative;            // distance / norm_b: name the network to measure by second
  double per_root_parameter;  // distance / sqrt(parameters): the root mean square difference
};
// `rows` as distances() made them from networks laid out as `state`.
std::vector<ScaledDistance> scale_distances(const std::vector<Distance>& rows, const State& state);

struct DistanceOptions {
  std::filesystem::path a, b;  // checkpoints or run folders
  std::string model;
  std::filesystem::path out;  // empty: nothing is written

  Options list();
};

// The table module, distance, norm_a, norm_b, parameters, relative, per_root_parameter; also
// written as distance.csv. A finished folder of the same settings is left as it is.
CsvTable run_distance(const DistanceOptions& options, Session& session);

}  // namespace basin
