// Rewinding modules of a trained network.
#include "experiments/rewind.h"

#include "tests/experiments/tiny_data.h"

using namespace basin;
using namespace basin::test;

TEST_CASE("rewind: one row a module, each the network with that module set back") {
  const auto session = small_session();
  for (const std::string model : {"fixup_resnet8", "resnet8"}) {
    CAPTURE(model);
    const auto trained = lively_network(model, session->stream, 1),
               earlier = lively_network(model, session->stream, 2),
               scratch = small_network(model, session->stream),
               untouched = small_network(model, session->stream);
    untouched->state().copy_from(trained->state());
    EvaluationSet set(tiny_set(20, 8, 3), {.batch_size = 7}, *session);
    const Evaluation plain = set.evaluate(*trained);
    const auto rows = rewind(*scratch, trained->state(), earlier->state(), set, *session);

    const std::vector<std::string>& modules = trained->state().modules();
    REQUIRE(rows.size() == modules.size() + 1);
    CHECK(rows[0].module == "none");
    CHECK(rows[0].loss == plain.loss);
    CHECK(rows[0].score == plain.score);
    for (size_t i = 0; i < modules.size(); ++i) {
      CHECK(rows[i + 1].module == modules[i]);
      scratch->state().copy_from(trained->state());
      scratch->state().copy_module_from(earlier->state(), modules[i]);
      const Evaluation rewound = set.evaluate(*scratch);
      CHECK(rows[i + 1].loss == rewound.loss);
      CHECK(rows[i + 1].score == rewound.score);
      CHECK(rewound.loss != plain.loss);
    }
    CHECK(same_values(trained->state(), untouched->state()));
  }
}

TEST_CASE("rewind: to itself changes nothing, and the scratch network ends as the trained one") {
  const auto session = small_session();
  const auto trained = lively_network("resnet8", session->stream, 1),
             scratch = lively_network("resnet8", session->stream, 3);
  EvaluationSet set(tiny_set(20, 8, 3), {.batch_size = 7}, *session);
  const auto rows = rewind(*scratch, trained->state(), trained->state(), set, *session);
  for (const RewindResult& row : rows) {
    CHECK(row.loss == rows[0].loss);
    CHECK(row.score == rows[0].score);
  }
  CHECK(same_values(trained->state(), scratch->state()));
}
