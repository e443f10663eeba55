// Rewinding modules of a trained network.
#include "experiments/rewind/rewind.h"

#include "tests/experiments/tiny_data.h"

using namespace basin;
using namespace basin::test;

namespace {

RewindTarget target_of(const std::string& to, const Network& earlier) {
  return {to, 0, [&earlier](Network& network, const std::string& module) {
            network.state().copy_module_from(earlier.state(), module);
          }};
}

}  // namespace

TEST_CASE("rewind: a row for each target and module, each the network with that module changed") {
  const auto session = small_session();
  for (const std::string model : {"fixup_resnet8", "resnet8"}) {
    CAPTURE(model);
    const auto trained = lively_network(model, session->stream, 1),
               earlier = lively_network(model, session->stream, 2),
               scratch = small_network(model, session->stream),
               expected = small_network(model, session->stream);
    EvaluationSet set(tiny_set(20, 8, 3), {.batch_size = 7}, *session);
    const auto statistics = statistics_set(*scratch, tiny_set(12, 8, 3), *session);
    Sweep sweep(*scratch, trained->state(), set, statistics.get(), *session);
    const RewindTarget random = {"random", 3, [](Network& network, const std::string& module) {
                                   network.initialize_module(77, module);
                                 }};
    const auto rows = rewind(sweep, {target_of("4", *earlier), random});

    auto plain = [&] {
      if (statistics) estimate_batch_norm(*expected, *statistics, *session);
      return set.evaluate(*expected);
    };
    expected->state().copy_from(trained->state());
    const Evaluation unchanged = plain();
    const std::vector<std::string>& modules = trained->state().modules();
    REQUIRE(rows.size() == 2 * modules.size() + 1);
    CHECK(rows[0].module == "none");
    CHECK(rows[0].to == "");
    CHECK(rows[0].loss == unchanged.loss);
    CHECK(rows[0].score == unchanged.score);
    for (size_t i = 0; i < 2 * modules.size(); ++i) {
      const RewindResult& row = rows[i + 1];
      const bool first = i < modules.size();
      const std::string& module = modules[i % modules.size()];
      CAPTURE(module);
      CHECK(row.module == module);
      CHECK(row.to == (first ? "4" : "random"));
      CHECK(row.draw == (first ? 0 : 3));
      expected->state().copy_from(trained->state());
      if (first) {
        expected->state().copy_module_from(earlier->state(), module);
      } else {
        expected->initialize_module(77, module);
      }
      const Evaluation rewound = plain();
      CHECK(row.loss == rewound.loss);
      CHECK(row.score == rewound.score);
      CHECK(rewound.loss != unchanged.loss);
    }
  }
}

TEST_CASE("rewind: to itself changes nothing") {
  const auto session = small_session();
  const auto trained = lively_network("fixup_resnet8", session->stream, 1),
             scratch = lively_network("fixup_resnet8", session->stream, 3);
  EvaluationSet set(tiny_set(20, 8, 3), {.batch_size = 7}, *session);
  Sweep sweep(*scratch, trained->state(), set, nullptr, *session);
  const double expected = set.evaluate(*trained).loss;
  for (const RewindResult& row : rewind(sweep, {target_of("0", *trained)})) {
    CHECK(row.loss == expected);
  }
  CHECK(same_values(trained->state(), scratch->state()));
}
