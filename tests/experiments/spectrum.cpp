// Summaries of singular values by hand, and the pooling by module.
#include "experiments/spectrum/spectrum.h"

#include <algorithm>
#include <cmath>

#include "engine/linear_algebra.h"
#include "engine/transfer.h"
#include "kernels/base/parallel.h"
#include "tests/experiments/tiny_data.h"
#include "tests/support/errors.h"
#include "tests/support/temporary_folder.h"

using namespace basin;
using namespace basin::test;

TEST_CASE("spectrum: norms and ranks by hand") {
  const SpectrumSummary equal = summarise_spectrum({2, 2, 2});
  CHECK(equal.spectral_norm == 2);
  CHECK(equal.frobenius_norm == doctest::Approx(std::sqrt(12.0)).epsilon(1e-14));
  CHECK(equal.stable_rank == doctest::Approx(3).epsilon(1e-14));
  CHECK(equal.effective_rank == doctest::Approx(3).epsilon(1e-14));
  // Shares 3/4 and 1/4; a zero adds nothing.
  const SpectrumSummary uneven = summarise_spectrum({3, 1, 0});
  CHECK(uneven.stable_rank == doctest::Approx(10.0 / 9).epsilon(1e-14));
  CHECK(uneven.effective_rank ==
        doctest::Approx(std::pow(4.0 / 3, 0.75) * std::pow(4, 0.25)).epsilon(1e-14));
  const SpectrumSummary zero = summarise_spectrum({0, 0});
  CHECK(zero.spectral_norm == 0);
  CHECK(zero.stable_rank == 0);
  CHECK(zero.effective_rank == 0);
}

TEST_CASE("spectrum: convolutions and fc, pooled by module and over all") {
  Stream stream(Device::kCpu);
  for (const std::string model : {"fixup_resnet8", "resnet8"}) {
    CAPTURE(model);
    const auto network = lively_network(model, stream, 1);
    const State& state = network->state();
    const auto rows = spectra(state);
    REQUIRE(rows.size() == state.modules().size() + 1);
    CHECK(rows[0].module == "all");
    size_t count = 0;
    double squares = 0;
    for (size_t i = 0; i < state.modules().size(); ++i) {
      const Spectrum& row = rows[i + 1];
      CHECK(row.module == state.modules()[i]);
      CHECK(std::is_sorted(row.values.rbegin(), row.values.rend()));
      double expected = 0, actual = 0;
      size_t values = 0;
      for (const State::Entry& entry : state.entries()) {
        const bool weight = entry.name.ends_with("conv1.weight") ||
                            entry.name.ends_with("conv2.weight") || entry.name == "fc.weight" ||
                            entry.name.ends_with("downsample.weight") ||
                            entry.name.ends_with("downsample.0.weight");
        if (entry.module != row.module || !weight) continue;
        values +=
            static_cast<size_t>(std::min(entry.shape[0], entry.shape.elements() / entry.shape[0]));
        for (int64_t j = 0; j < entry.shape.elements(); ++j) {
          expected += std::pow(entry.tensor.data<float>()[j], 2.0);
        }
      }
      for (const double value : row.values) actual += value * value;
      REQUIRE(values > 0);
      CHECK(row.values.size() == values);
      CHECK(actual == doctest::Approx(expected).epsilon(1e-10));
      count += values;
      squares += actual;
    }
    CHECK(rows[0].values.size() == count);
    CHECK(std::is_sorted(rows[0].values.rbegin(), rows[0].values.rend()));
    CHECK(std::pow(summarise_spectrum(rows[0].values).frobenius_norm, 2) ==
          doctest::Approx(squares).epsilon(1e-12));
    const Tensor conv1 = state.find("conv1.weight")->tensor;
    CHECK(rows[1].values == singular_values(download<float>(conv1, stream), conv1.shape()[0]));

    set_threads(3);
    const auto threaded = spectra(state);
    set_threads(1);
    for (size_t i = 0; i < rows.size(); ++i) CHECK(threaded[i].values == rows[i].values);
  }
}

TEST_CASE("spectrum: a weight that is not finite is named") {
  Stream stream(Device::kCpu);
  const auto network = lively_network("fixup_resnet8", stream, 1);
  network->state().find("layer2.0.conv2.weight")->tensor.data<float>()[3] = std::nanf("");
  const std::string error = error_of([&] { spectra(network->state()); });
  CHECK(contains(error, "layer2.0.conv2.weight"));
  CHECK(contains(error, "NaN"));
}

TEST_CASE("spectrum: names of networks") {
  const auto plain = parse_network_name("runs/a");
  CHECK(plain.name == "runs/a");
  CHECK(plain.path == "runs/a");
  const auto named = parse_network_name("init=runs/a/checkpoints/epoch=0");
  CHECK(named.name == "init");
  CHECK(named.path == "runs/a/checkpoints/epoch=0");
  const TemporaryFolder folder;
  const std::string existing = (folder.path / "seed=1").string();
  fs::create_directory(existing);
  CHECK(parse_network_name(existing).path == existing);
  for (const std::string wrong : {"=path", "name="}) {
    CHECK(contains(error_of([&] { parse_network_name(wrong); }), wrong));
  }
  const auto session = small_session();
  SpectrumOptions twice{{"p=a", "p=b"}, "", folder.path / "out"};
  CHECK(contains(error_of([&] { run_spectrum(twice, *session); }), "two networks are named p"));
}
