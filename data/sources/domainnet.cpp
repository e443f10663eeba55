// DomainNet (Peng et al., 2019): one domain by its official lists, sub-sampled as in the paper.
#include <charconv>
#include <cstdio>
#include <filesystem>
#include <map>
#include <optional>

#include "data/file.h"
#include "data/image_files.h"
#include "data/shuffle.h"
#include "kernels/base/check.h"

namespace basin::data {

namespace {

namespace fs = std::filesystem;

// The paper's code: RandomState(2020).choice(rows, 50000, replace=False), for either list. NumPy's
// choice without replacement is the front of a permutation.
constexpr int64_t kSampleSize = 50000;
constexpr uint32_t kSampleSeed = 2020;

constexpr int32_t kMaxLabel = 99999;  // bounds what a damaged label can make us allocate

// Rows of the official lists of the paper's domains.
struct OfficialRows {
  const char* domain;
  size_t train, test;
};
constexpr OfficialRows kOfficialRows[] = {
    {"real", 120906, 52041}, {"clipart", 33525, 14604}, {"quickdraw", 120750, 51750}};

// Which folder a label names, and the reverse: a list that says otherwise is damaged.
struct Classes {
  std::map<int32_t, std::string> names;
  std::map<std::string, int32_t> labels;
};

struct Row {
  std::string file;  // "domain/class/file.jpg"
  std::string folder;
  int32_t label;
};

// Parses "domain/class/file label"; nothing, if the line is not of this form.
std::optional<Row> parse_row(const std::string& line, const std::string& domain) {
  const std::string text = line.substr(0, line.find_last_not_of(" \t") + 1);
  const size_t space = text.rfind(' '), slash = text.find('/');
  if (space == std::string::npos || slash == std::string::npos) return std::nullopt;
  const size_t second_slash = text.find('/', slash + 1);
  if (second_slash == std::string::npos || text.compare(0, slash, domain) != 0 ||
      second_slash == slash + 1 || second_slash + 1 >= space) {
    return std::nullopt;
  }
  Row row{text.substr(0, space), text.substr(slash + 1, second_slash - slash - 1), 0};
  const char* end = text.data() + text.size();
  const auto parsed = std::from_chars(text.data() + space + 1, end, row.label);
  if (parsed.ec != std::errc() || parsed.ptr != end || row.label < 0 || row.label > kMaxLabel) {
    return std::nullopt;
  }
  return row;
}

// The rows of one list; `classes` is extended by them, or must agree.
LabelledFiles read_list(const fs::path& directory, const std::string& domain,
                        const std::string& split, const std::string& remedy, Classes& classes) {
  const std::string list = (directory / (domain + "_" + split + ".txt")).string();
  const auto lines = read_lines(list, remedy);
  LabelledFiles files;
  files.name = "domainnet:" + (directory / domain).string() + " " + split;
  for (size_t i = 0; i < lines.size(); ++i) {
    const auto row = parse_row(lines[i], domain);
    BASIN_CHECK(row, list, ": line ", i + 1, ": '", lines[i], "', expected '", domain,
                "/CLASS/FILE LABEL' with a label from 0 to ", kMaxLabel, "; ", remedy);
    BASIN_CHECK(split == "train" || classes.names.contains(row->label), list, ": line ", i + 1,
                ": label ", row->label, ", which the training list does not have; ", remedy);
    const auto name = classes.names.emplace(row->label, row->folder).first;
    const auto label = classes.labels.emplace(row->folder, row->label).first;
    BASIN_CHECK(name->second == row->folder && label->second == row->label, list, ": line ", i + 1,
                ": label ", row->label, " for the folder '", row->folder,
                "', but earlier rows have label ", row->label, " for '", name->second,
                "' and label ", label->second, " for '", row->folder, "'; ", remedy);
    files.paths.push_back((directory / row->file).string());
    files.labels.push_back(row->label);
  }
  return files;
}

void warn_of_other_rows(const std::string& domain, const LabelledFiles& train,
                        const LabelledFiles& test) {
  for (const OfficialRows& official : kOfficialRows) {
    if (domain != official.domain ||
        (train.paths.size() == official.train && test.paths.size() == official.test)) {
      continue;
    }
    std::fprintf(stderr,
                 "domainnet: the lists of %s have %zu and %zu rows, the official ones %zu and %zu: "
                 "these are not the paper's images\n",
                 domain.c_str(), train.paths.size(), test.paths.size(), official.train,
                 official.test);
  }
}

void subsample(LabelledFiles& files) {
  const auto rows = static_cast<int64_t>(files.paths.size());
  if (rows <= kSampleSize) return;
  const auto permutation = numpy_permutation(kSampleSeed, rows);
  files.keep({permutation.begin(), permutation.begin() + kSampleSize});
}

}  // namespace

DataSplits load_domainnet(const std::string& path, const DataOptions& options) {
  const fs::path full = fs::path(path).lexically_normal();
  const fs::path folder = full.has_filename() ? full : full.parent_path();  // a slash at the end
  const fs::path directory = folder.parent_path();
  const std::string domain = folder.filename().string();
  const std::string remedy = concat("domainnet:", path, " expects the official lists ",
                                    (directory / (domain + "_train.txt")).string(), " and ",
                                    (directory / (domain + "_test.txt")).string(),
                                    " and the images in ", folder.string(), "/CLASS/");
  Classes classes;
  LabelledFiles train = read_list(directory, domain, "train", remedy, classes);
  LabelledFiles test = read_list(directory, domain, "test", remedy, classes);
  DatasetInfo info;
  for (const auto& [label, name] : classes.names) {
    BASIN_CHECK(label == static_cast<int32_t>(info.class_names.size()), folder.string(),
                ": no row of the training list has label ", info.class_names.size(),
                ", though one has ", label, "; ", remedy);
    info.class_names.push_back(name);
  }
  warn_of_other_rows(domain, train, test);
  for (LabelledFiles* files : {&train, &test}) {
    subsample(*files);
    files->keep(readable_images(files->paths, files->name, options.skip_bad, remedy));
  }
  return split_photos(std::move(info), std::move(train), std::move(test), options);
}

}  // namespace basin::data
