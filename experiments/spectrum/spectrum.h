// Singular values of the weights of a network, per module and as a whole. One of the paper's
// analyses (appendix); the definitions of the ranks are those in common use.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "engine/state.h"
#include "experiments/program/options.h"
#include "experiments/program/session.h"

namespace basin {

// What a set of singular values s_i amounts to.
struct SpectrumSummary {
  double spectral_norm;   // max s_i
  double frobenius_norm;  // sqrt(sum s_i^2)
  double stable_rank;     // frobenius_norm^2 / spectral_norm^2; 0 when all s_i are 0
  double effective_rank;  // exp of the entropy of s_i / sum s_i (Roy, Vetterli 2007); likewise
};
SpectrumSummary summarise_spectrum(const std::vector<double>& singular_values);

struct Spectrum {
  std::string module;          // "all", then each module
  std::vector<double> values;  // descending
};

// Every convolution weight as a matrix [out, in * height * width], fc.weight as it is; biases,
// scales and batch norm are left out. The singular values of a module's, or of all, matrices are
// pooled: they are those of the block-diagonal matrix with these blocks, and so are the norms and
// ranks computed from them. Throws Error naming a weight that is not finite.
std::vector<Spectrum> spectra(const State& state);

struct SpectrumOptions {
  std::vector<std::string> networks;  // as parse_network_name() takes them
  std::string model;
  std::filesystem::path out;

  Options list();
};

struct NamedNetwork {
  std::string name;            // in the tables
  std::filesystem::path path;  // checkpoint or run folder
};
// "name=path", or a path alone, which then is the name, too.
NamedNetwork parse_network_name(const std::string& text);

// Writes spectrum.csv (network, module, index from 0, value) and summary.csv (network, module,
// spectral_norm, frobenius_norm, stable_rank, effective_rank). Progress advances by 1 a network. A
// finished folder of the same settings is left as it is.
void run_spectrum(const SpectrumOptions& options, Session& session);

}  // namespace basin
