// CheXpert (Irvin et al., 2019): five findings on chest X-rays, with the paper's split of the
// official training images, its policy for uncertain labels, and its over-sampling.
#include <algorithm>
#include <array>
#include <filesystem>
#include <optional>
#include <string_view>

#include "data/file.h"
#include "data/image_files.h"
#include "data/selection.h"
#include "data/shuffle.h"
#include "data/sources/chexpert_xray.h"
#include "kernels/base/check.h"

namespace basin::data {

namespace {

namespace fs = std::filesystem;

struct Finding {
  const char* name;
  bool uncertain_is_positive;
  bool repeated;  // training rows positive for it come twice
};
constexpr std::array<Finding, 5> kFindings = {{{"Cardiomegaly", false, true},
                                               {"Edema", true, false},
                                               {"Consolidation", false, true},
                                               {"Atelectasis", true, false},
                                               {"Pleural Effusion", false, false}}};
using FindingLabels = std::array<uint8_t, kFindings.size()>;

// The paper's split: RandomState(1234).permutation of the rows of train.csv, whose first 50,000 are
// the training images and the next 50,000 the test images.
constexpr uint32_t kSplitSeed = 1234;
constexpr int64_t kReleaseRows = 223414;
constexpr int64_t kSplitSize = 50000;

struct Xrays {
  std::vector<std::string> paths;
  std::vector<FindingLabels> labels;

  Xrays at(const std::vector<int64_t>& positions) const {
    Xrays part;
    for (const int64_t i : positions) {
      part.paths.push_back(paths[i]);
      part.labels.push_back(labels[i]);
    }
    return part;
  }
};

class XrayFiles final : public ImageFiles {
 public:
  using ImageFiles::ImageFiles;

  void read(int64_t index, uint8_t* pixels) const override {
    render_xray(to_grey(decode(index)), height(), pixels);
  }
  void read_augmented(int64_t index, RandomStream random, uint8_t* pixels) const override {
    const GreyImage image = to_grey(decode(index));
    const AffineMap map = random_affine(image.height, image.width, random);
    render_xray(apply_affine(image, map), height(), pixels);
  }
};

// The views end with `line`.
std::vector<std::string_view> split_at_commas(std::string_view line) {
  std::vector<std::string_view> fields;
  for (size_t comma = line.find(','); comma != line.npos; comma = line.find(',')) {
    fields.push_back(line.substr(0, comma));
    line.remove_prefix(comma + 1);
  }
  fields.push_back(line);
  return fields;
}

// 1, 0, or -1 for "uncertain"; empty is 0. Nothing: the text is none of these.
std::optional<int> parse_mention(std::string_view text) {
  if (text.empty() || text == "0.0" || text == "0") return 0;
  if (text == "1.0" || text == "1") return 1;
  if (text == "-1.0" || text == "-1") return -1;
  return std::nullopt;
}

// Makes the paths of a CSV file those of files. The official ones begin with the name of the
// release's folder, which `directory` is, whatever its name is now. Where that part is missing, the
// paths are relative to `directory`. The first row of which an image exists decides.
void resolve(const std::string& directory, const std::string& csv, const std::string& remedy,
             std::vector<std::string>& paths) {
  const auto whole = [&](const std::string& path) { return directory + "/" + path; };
  const auto without_front = [&](const std::string& path) {
    const size_t slash = path.find('/');
    return slash == std::string::npos ? whole(path) : directory + path.substr(slash);
  };
  for (const std::string& path : paths) {
    const bool as_it_is = fs::exists(whole(path));
    if (!as_it_is && !fs::exists(without_front(path))) continue;
    for (std::string& each : paths) each = as_it_is ? whole(each) : without_front(each);
    return;
  }
  throw Error(concat(csv, ": none of its ", paths.size(), " images exists; line 2 names ",
                     whole(paths[0]), " or ", without_front(paths[0]), "; ", remedy));
}

Xrays read_csv(const fs::path& directory, const std::string& file, const std::string& remedy) {
  const std::string csv = (directory / file).string();
  const auto lines = read_lines(csv, remedy);
  const auto header = split_at_commas(lines[0]);
  BASIN_CHECK(header[0] == "Path", csv, ": line 1 begins with '", header[0],
              "', expected the column 'Path'; ", remedy);
  std::array<size_t, kFindings.size()> columns{};
  for (size_t f = 0; f < kFindings.size(); ++f) {
    const auto found = std::find(header.begin(), header.end(), kFindings[f].name);
    BASIN_CHECK(found != header.end(), csv, ": line 1 has no column '", kFindings[f].name, "'; ",
                remedy);
    columns[f] = static_cast<size_t>(found - header.begin());
  }
  Xrays rows;
  for (size_t i = 1; i < lines.size(); ++i) {
    const auto fields = split_at_commas(lines[i]);
    BASIN_CHECK(fields.size() == header.size(), csv, ": line ", i + 1, " has ", fields.size(),
                " fields, the header ", header.size(), ": '", lines[i],
                "'; the file is damaged or cut off; ", remedy);
    BASIN_CHECK(!fields[0].empty(), csv, ": line ", i + 1, " names no image; ", remedy);
    FindingLabels labels;
    for (size_t f = 0; f < kFindings.size(); ++f) {
      const auto mention = parse_mention(fields[columns[f]]);
      BASIN_CHECK(mention, csv, ": line ", i + 1, ": ", kFindings[f].name, " is '",
                  fields[columns[f]], "', expected 1.0, 0.0, -1.0 or nothing; ", remedy);
      labels[f] = *mention == 1 || (*mention == -1 && kFindings[f].uncertain_is_positive);
    }
    rows.paths.emplace_back(fields[0]);
    rows.labels.push_back(labels);
  }
  BASIN_CHECK(!rows.paths.empty(), csv, ": holds no images; ", remedy);
  resolve(directory.string(), csv, remedy, rows.paths);
  return rows;
}

// Positions first, first + 1, ..., first + count - 1 of the permutation.
std::vector<int64_t> part_of(const std::vector<uint32_t>& permutation, int64_t first,
                             int64_t count) {
  return {permutation.begin() + first, permutation.begin() + first + count};
}

// How many permuted rows are the training and the test images; those follow these.
struct Border {
  int64_t train, test;
};

Border border_of(int64_t rows, const DataOptions& options, const std::string& csv) {
  if (rows == kReleaseRows) return {kSplitSize, kSplitSize};
  BASIN_CHECK(options.train_size > 0 && options.test_size > 0, csv, ": ", rows,
              " rows; the paper's split is one of the ", kReleaseRows,
              " rows of the release. Complete the file, or pass --train-size and --test-size to "
              "split these rows instead");
  BASIN_CHECK(options.train_size <= rows - std::min(rows, options.test_size), csv, ": ", rows,
              " rows are fewer than train_size ", options.train_size, " and test_size ",
              options.test_size, " together; choose smaller ones");
  BASIN_CHECK(options.split == "all", csv, ": split '", options.split, "' needs the ", kReleaseRows,
              " rows of the release, the file has ", rows, "; use split 'all'");
  return {options.train_size, options.test_size};
}

// The rows that come twice, each beside its copy.
Xrays with_repetitions(const Xrays& rows) {
  Xrays repeated;
  for (size_t i = 0; i < rows.paths.size(); ++i) {
    bool twice = false;
    for (size_t f = 0; f < kFindings.size(); ++f) {
      twice = twice || (kFindings[f].repeated && rows.labels[i][f] == 1);
    }
    for (int copy = 0; copy < (twice ? 2 : 1); ++copy) {
      repeated.paths.push_back(rows.paths[i]);
      repeated.labels.push_back(rows.labels[i]);
    }
  }
  return repeated;
}

std::shared_ptr<const Dataset> make_dataset(DatasetInfo info, const std::string& name, Xrays rows,
                                            bool skip_bad) {
  info.name += " " + name;
  std::vector<uint8_t> label_rows;
  for (const FindingLabels& labels : rows.labels) {
    label_rows.insert(label_rows.end(), labels.begin(), labels.end());
  }
  return std::make_shared<const XrayFiles>(std::move(info), std::move(rows.paths),
                                           std::move(label_rows), skip_bad);
}

}  // namespace

DataSplits load_chexpert(const std::string& directory, const DataOptions& options) {
  const std::string remedy =
      concat("chexpert:", directory,
             " expects a release's folder: train.csv, valid.csv and the images they name, "
             "relative to the folder or to its parent");
  DatasetInfo info;
  info.name = "chexpert:" + directory;
  info.height = info.width = image_side(options);
  for (const Finding& finding : kFindings) info.class_names.push_back(finding.name);
  info.multi_label = true;
  info.mean.fill(128.0f / 255.0f);  // normalised by (x - 128) / 64
  info.stddev.fill(64.0f / 255.0f);

  const Xrays rows = read_csv(directory, "train.csv", remedy);
  Xrays validation = read_csv(directory, "valid.csv", remedy);
  const auto row_count = static_cast<int64_t>(rows.paths.size());
  const Border border = border_of(row_count, options, (fs::path(directory) / "train.csv").string());
  const auto permutation = numpy_permutation(kSplitSeed, row_count);
  Xrays train = rows.at(part_of(permutation, 0, border.train));
  Xrays test = rows.at(part_of(permutation, border.train, border.test));
  // An image has no one class to draw evenly from: as if there was one.
  const std::vector<int32_t> train_class(border.train), test_class(border.test);
  const auto in_source = [&](int64_t i) { return i < source_count(border.train); };
  train = train.at(select_train(train_class, 1, in_source, options));
  test = test.at(select_test(test_class, 1, options));
  const auto readable = [&](const Xrays& part, const std::string& name) {
    return part.at(readable_images(part.paths, info.name + " " + name, options.skip_bad, remedy));
  };
  train = readable(train, "train");
  test = readable(test, "test");
  validation = readable(validation, "validation");
  DataSplits splits;
  splits.train = make_dataset(info, "train", with_repetitions(train), options.skip_bad);
  splits.test = make_dataset(info, "test", std::move(test), options.skip_bad);
  splits.train_evaluation =
      make_dataset(info, "train, each image once", std::move(train), options.skip_bad);
  splits.validation = make_dataset(info, "validation", std::move(validation), options.skip_bad);
  return splits;
}

}  // namespace basin::data
