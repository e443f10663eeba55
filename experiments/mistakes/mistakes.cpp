// Counting common and uncommon mistakes, and showing them.
#include "experiments/mistakes/mistakes.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "data/image/image.h"
#include "engine/files.h"
#include "experiments/program/analyses.h"
#include "experiments/program/command.h"
#include "experiments/program/csv.h"
#include "experiments/program/model_file.h"

namespace basin {
namespace {

// The answers of a network, or the truth, as [images, labels] of yes and no.
std::vector<uint8_t> answers_of(const data::Dataset& set, const Evaluation& evaluation) {
  const auto labels = static_cast<size_t>(set.classes()), images = static_cast<size_t>(set.size());
  std::vector<uint8_t> answers(images * labels, 0);
  if (set.multi_label()) {
    BASIN_CHECK(evaluation.logits.size() == answers.size(), set.name(), " has ", answers.size(),
                " (image, label) pairs, the evaluation ", evaluation.logits.size());
    // sigmoid(z) >= 0.5
    for (size_t i = 0; i < answers.size(); ++i) answers[i] = evaluation.logits[i] >= 0;
  } else {
    BASIN_CHECK(evaluation.predictions.size() == images, set.name(), " has ", images,
                " images, the evaluation ", evaluation.predictions.size());
    for (size_t i = 0; i < images; ++i) {
      answers[i * labels + static_cast<size_t>(evaluation.predictions[i])] = 1;
    }
  }
  return answers;
}

std::vector<uint8_t> truth_of(const data::Dataset& set) {
  const auto labels = static_cast<size_t>(set.classes());
  std::vector<uint8_t> truth;
  std::vector<float> row(labels);
  for (int64_t i = 0; i < set.size(); ++i) {
    set.target(i, row.data());
    for (const float value : row) truth.push_back(value > 0.5f);
  }
  return truth;
}

// The labels answered with yes.
std::string names_of(const data::Dataset& set, const std::vector<uint8_t>& answers, int64_t image) {
  std::string names;
  for (int64_t label = 0; label < set.classes(); ++label) {
    if (!answers[static_cast<size_t>(image * set.classes() + label)]) continue;
    names += (names.empty() ? "" : ";") + set.class_names()[static_cast<size_t>(label)];
  }
  return names;
}

}  // namespace

Mistakes compare_mistakes(const data::Dataset& set, const Evaluation& first,
                          const Evaluation& second) {
  const auto labels = static_cast<size_t>(set.classes());
  const std::vector<uint8_t> truth = truth_of(set), a = answers_of(set, first),
                             b = answers_of(set, second);
  // A single-label image is one item: wrong when any label is answered wrongly.
  const size_t columns = set.multi_label() ? labels : 1, width = labels / columns;
  Mistakes result;
  result.counts.push_back({"all"});
  if (set.multi_label()) {
    for (const std::string& name : set.class_names()) result.counts.push_back({name});
  }
  for (int64_t image = 0; image < set.size(); ++image) {
    bool any_both = false, any_first = false, any_second = false;
    for (size_t column = 0; column < columns; ++column) {
      const auto begin =
          static_cast<std::ptrdiff_t>(static_cast<size_t>(image) * labels + column * width);
      const auto end = begin + static_cast<std::ptrdiff_t>(width);
      auto is_wrong = [&](const std::vector<uint8_t>& answers) {
        return !std::equal(truth.begin() + begin, truth.begin() + end, answers.begin() + begin);
      };
      const bool first_wrong = is_wrong(a), second_wrong = is_wrong(b);
      auto count = [&](MistakeCounts& counts) {
        ++counts.items;
        counts.both_wrong += first_wrong && second_wrong;
        counts.only_first_wrong += first_wrong && !second_wrong;
        counts.only_second_wrong += second_wrong && !first_wrong;
      };
      count(result.counts[0]);
      if (set.multi_label()) count(result.counts[column + 1]);
      any_both |= first_wrong && second_wrong;
      any_first |= first_wrong && !second_wrong;
      any_second |= second_wrong && !first_wrong;
    }
    if (any_both) result.both_wrong.push_back(image);
    if (any_first) result.only_first_wrong.push_back(image);
    if (any_second) result.only_second_wrong.push_back(image);
  }
  return result;
}

std::vector<int64_t> take_evenly(const std::vector<int64_t>& items, int64_t count) {
  const auto size = static_cast<int64_t>(items.size());
  if (size <= count) return items;
  std::vector<int64_t> taken;
  for (int64_t i = 0; i < count; ++i) {
    taken.push_back(items[static_cast<size_t>((2 * i + 1) * size / (2 * count))]);
  }
  return taken;
}

void write_pictures(const data::Dataset& set, const std::vector<int64_t>& images,
                    const std::string& path) {
  constexpr int64_t kSide = 96, kGap = 6;
  BASIN_CHECK(!images.empty(), path, ": there is no image to show");
  const int64_t height = set.height(), width = set.width();
  const int64_t factor = (kSide + std::min(height, width) - 1) / std::min(height, width);
  const auto count = static_cast<int64_t>(images.size());
  const int64_t columns = std::min(count, kPictureColumns), rows = (count + columns - 1) / columns;
  const int64_t sheet_height = kGap + rows * (height * factor + kGap);
  const int64_t sheet_width = kGap + columns * (width * factor + kGap);
  std::vector<uint8_t> sheet(static_cast<size_t>(sheet_height * sheet_width * 3), 160);
  std::vector<uint8_t> pixels(static_cast<size_t>(set.image_bytes()));
  for (int64_t i = 0; i < count; ++i) {
    set.read(images[static_cast<size_t>(i)], pixels.data());
    const int64_t top = kGap + i / columns * (height * factor + kGap);
    const int64_t left = kGap + i % columns * (width * factor + kGap);
    for (int64_t y = 0; y < height * factor; ++y) {
      for (int64_t x = 0; x < width * factor; ++x) {
        std::copy_n(&pixels[static_cast<size_t>((y / factor * width + x / factor) * 3)], 3,
                    &sheet[static_cast<size_t>(((top + y) * sheet_width + left + x) * 3)]);
      }
    }
  }
  data::write_png(path, sheet.data(), sheet_height, sheet_width);
}

Options MistakesOptions::list() {
  return Options{Option("a", &a, "first network: checkpoint or run folder").required(),
                 Option("b", &b, "second network: checkpoint or run folder").required(),
                 model_option(model)} +
         test_data_options(data) +
         Options{Option("--out", &out, "folder of the result, with pictures")
                     .required()
                     .not_recorded()};
}

void run_mistakes(const MistakesOptions& options, Session& session) {
  run_analysis("mistakes", options, session, [&](const auto& open_folder) {
    const auto a = load_network(options.a, options.model, session);
    const auto b = load_network(options.b, options.model, session);
    const auto test = session.load(options.data).test;
    check_classes(*a, *test);
    check_classes(*b, *test);
    open_folder();
    EvaluationSet set(test, {.batch_size = kEvaluationBatch}, session);
    auto evaluate = [&](Network& network) {
      Evaluation evaluation = set.evaluate(network);
      if (session.progress) session.progress->advance(static_cast<double>(set.size()));
      return evaluation;
    };
    const Evaluation first = evaluate(*a), second = evaluate(*b);
    const Mistakes mistakes = compare_mistakes(*test, first, second);

    CsvTable table({"label", "items", "both_wrong", "only_first_wrong", "only_second_wrong"});
    for (const MistakeCounts& row : mistakes.counts) {
      table.add_row({row.label, std::to_string(row.items), std::to_string(row.both_wrong),
                     std::to_string(row.only_first_wrong), std::to_string(row.only_second_wrong)});
    }
    table.write(options.out / "mistakes.csv");

    const std::vector<uint8_t> truth = truth_of(*test), answers_a = answers_of(*test, first),
                               answers_b = answers_of(*test, second);
    CsvTable pictures({"sheet", "position", "index", "true", "first", "second"});
    auto show = [&](const std::string& sheet, const std::vector<int64_t>& images) {
      const std::filesystem::path png = options.out / (sheet + ".png");
      if (images.empty()) return;
      const std::vector<int64_t> shown = take_evenly(images, kPictures);
      write_pictures(*test, shown, png.string());
      for (size_t position = 0; position < shown.size(); ++position) {
        pictures.add_row({sheet, std::to_string(position), std::to_string(shown[position]),
                          names_of(*test, truth, shown[position]),
                          names_of(*test, answers_a, shown[position]),
                          names_of(*test, answers_b, shown[position])});
      }
    };
    show("only_first_wrong", mistakes.only_first_wrong);
    show("only_second_wrong", mistakes.only_second_wrong);
    show("both_wrong", mistakes.both_wrong);
    pictures.write(options.out / "pictures.csv");

    const MistakeCounts& all = mistakes.counts[0];
    auto share = [](int64_t count, int64_t of) {
      return of == 0 ? nlohmann::ordered_json(nullptr)
                     : nlohmann::ordered_json(static_cast<double>(count) / static_cast<double>(of));
    };
    const nlohmann::ordered_json json = {
        {"a", options.a.string()},
        {"b", options.b.string()},
        {"images", test->size()},
        {"items", all.items},
        {"common", share(all.common(), all.items)},
        {"uncommon", share(all.uncommon(), all.items)},
        {"common_of_mistakes", share(all.common(), all.either_wrong())},
        {"uncommon_of_mistakes", share(all.uncommon(), all.either_wrong())},
        {"only_first_of_mistakes", share(all.only_first_wrong, all.either_wrong())},
        {"only_second_of_mistakes", share(all.only_second_wrong, all.either_wrong())},
        {"picture_columns", kPictureColumns}};
    write_file_atomically(options.out / "result.json", json.dump(2) + "\n");
  });
}

Command mistakes_command() {
  return make_command<MistakesOptions>(
      "mistakes on test images that two networks share, or only one of them makes",
      [](const MistakesOptions& options, Session& session) {
        run_mistakes(options, session);
        return printed_result(options.out, "counts",
                              printed_rows(CsvTable::read(options.out / "mistakes.csv"),
                                           {{"label", "label", 20, PrintedColumn::kText},
                                            {"items", "items", 8, 0},
                                            {"both_wrong", "both wrong", 12, 0},
                                            {"only_first_wrong", "only first wrong", 18, 0},
                                            {"only_second_wrong", "only second wrong", 18, 0}}));
      });
}

}  // namespace basin
