// Module rewinding.
#include "experiments/rewind.h"

namespace basin {

std::vector<RewindResult> rewind(Network& network, const State& trained, const State& earlier,
                                 EvaluationSet& set, Session& session) {
  std::vector<RewindResult> results;
  auto evaluate = [&](const std::string& module) {
    const Evaluation evaluation = set.evaluate(network);
    results.push_back({module, evaluation.loss, evaluation.score});
    if (session.progress) session.progress->advance(static_cast<double>(set.size()));
  };
  network.state().copy_from(trained);
  evaluate("none");
  for (const std::string& module : trained.modules()) {
    network.state().copy_module_from(earlier, module);
    evaluate(module);
    network.state().copy_module_from(trained, module);
  }
  return results;
}

}  // namespace basin
