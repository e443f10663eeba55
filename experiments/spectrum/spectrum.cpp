// Singular values, pooled by module.
#include "experiments/spectrum/spectrum.h"

#include <algorithm>
#include <cmath>
#include <exception>
#include <functional>
#include <set>

#include "engine/linear_algebra.h"
#include "engine/transfer.h"
#include "experiments/program/analyses.h"
#include "experiments/program/command.h"
#include "experiments/program/model_file.h"
#include "kernels/base/check.h"
#include "kernels/base/parallel.h"

namespace basin {

SpectrumSummary summarise_spectrum(const std::vector<double>& singular_values) {
  double largest = 0, sum = 0, squares = 0;
  for (const double value : singular_values) {
    largest = std::max(largest, value);
    sum += value;
    squares += value * value;
  }
  if (largest == 0) return {0, 0, 0, 0};
  double entropy = 0;
  for (const double value : singular_values) {
    if (value > 0) entropy -= value / sum * std::log(value / sum);
  }
  return {largest, std::sqrt(squares), squares / (largest * largest), std::exp(entropy)};
}

std::vector<Spectrum> spectra(const State& state) {
  std::vector<const State::Entry*> weights;
  for (const State::Entry& entry : state.entries()) {
    // Convolutions have four dimensions, fc two, all else one.
    if (!entry.buffer && entry.shape.rank() >= 2) weights.push_back(&entry);
  }
  std::vector<std::vector<float>> elements;
  for (const State::Entry* weight : weights) {
    elements.push_back(download<float>(weight->tensor, state.stream()));
  }
  std::vector<std::vector<double>> values(weights.size());
  std::vector<std::exception_ptr> errors(weights.size());
  parallel_for(static_cast<int64_t>(weights.size()), [&](int64_t index) {
    const auto i = static_cast<size_t>(index);
    try {
      values[i] = singular_values(elements[i], weights[i]->shape[0]);
    } catch (const Error& error) {
      errors[i] = std::make_exception_ptr(Error(concat(weights[i]->name, ": ", error.what())));
    } catch (...) {
      errors[i] = std::current_exception();
    }
  });
  for (const std::exception_ptr& error : errors) {
    if (error) std::rethrow_exception(error);
  }
  std::vector<Spectrum> result = {{"all", {}}};
  for (const std::string& module : state.modules()) result.push_back({module, {}});
  for (Spectrum& spectrum : result) {
    for (size_t i = 0; i < weights.size(); ++i) {
      if (spectrum.module != "all" && spectrum.module != weights[i]->module) continue;
      spectrum.values.insert(spectrum.values.end(), values[i].begin(), values[i].end());
    }
    std::sort(spectrum.values.begin(), spectrum.values.end(), std::greater<>());
  }
  return result;
}

NamedNetwork parse_network_name(const std::string& text) {
  const size_t equals = text.find('=');
  // A folder may have an equals sign in its name.
  if (equals == std::string::npos || std::filesystem::exists(text)) return {text, text};
  BASIN_CHECK(equals > 0 && equals + 1 < text.size(), "'", text,
              "' is neither name=path nor an existing path");
  return {text.substr(0, equals), text.substr(equals + 1)};
}

Options SpectrumOptions::list() {
  return {
      Option("networks", &networks, "checkpoints or run folders, as path or name=path").required(),
      model_option(model), out_option(out)};
}

void run_spectrum(const SpectrumOptions& options, Session& session) {
  std::vector<NamedNetwork> networks;
  std::set<std::string> names;
  SpectrumOptions named = options;  // with all names, as config.json records them
  named.networks.clear();
  for (const std::string& text : options.networks) {
    const NamedNetwork network = parse_network_name(text);
    BASIN_CHECK(names.insert(network.name).second, "two networks are named ", network.name,
                "; give each its own name, as in name=path");
    networks.push_back(network);
    named.networks.push_back(network.name + "=" + network.path.string());
  }
  run_analysis("spectrum", named, session, [&](const auto& open_folder) {
    CsvTable values({"network", "module", "index", "value"});
    CsvTable summary(
        {"network", "module", "spectral_norm", "frobenius_norm", "stable_rank", "effective_rank"});
    for (const auto& [name, path] : networks) {
      check_interruption();
      const auto loaded = load_network(path, options.model, session.stream);
      for (const Spectrum& spectrum : spectra(loaded->state())) {
        for (size_t i = 0; i < spectrum.values.size(); ++i) {
          values.add_row(
              {name, spectrum.module, std::to_string(i), csv_number(spectrum.values[i])});
        }
        const SpectrumSummary s = summarise_spectrum(spectrum.values);
        summary.add_row({name, spectrum.module, csv_number(s.spectral_norm),
                         csv_number(s.frobenius_norm), csv_number(s.stable_rank),
                         csv_number(s.effective_rank)});
      }
      if (session.progress) session.progress->advance(1);
    }
    open_folder();
    values.write(options.out / "spectrum.csv");
    summary.write(options.out / "summary.csv");
  });
}

Command spectrum_command() {
  return make_command<SpectrumOptions>(
      "singular values of the weights of networks, whole and per module",
      [](const SpectrumOptions& options, Session& session) {
        run_spectrum(options, session);
        return printed_rows(CsvTable::read(options.out / "summary.csv"),
                            {{"network", "network", 16, PrintedColumn::kText},
                             {"module", "module", 12, PrintedColumn::kText},
                             {"spectral_norm", "spectral norm", 13, 4},
                             {"frobenius_norm", "frobenius norm", 14, 4},
                             {"stable_rank", "stable rank", 11, 2},
                             {"effective_rank", "effective rank", 14, 2}});
      });
}

}  // namespace basin
