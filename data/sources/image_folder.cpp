// Folders of images by class: any (imagefolder), and ImageNet's.
#include <algorithm>
#include <cctype>
#include <filesystem>

#include "data/image_files.h"
#include "kernels/base/check.h"

namespace basin::data {

namespace {

namespace fs = std::filesystem;

bool is_image_name(const fs::path& path) {
  std::string extension = path.extension().string();
  for (char& c : extension) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return extension == ".png" || extension == ".jpg" || extension == ".jpeg";
}

// ImageNet's name of a class: the letter n and eight digits.
bool is_wordnet_id(const std::string& name) {
  return name.size() == 9 && name[0] == 'n' &&
         std::all_of(name.begin() + 1, name.end(), [](char c) { return c >= '0' && c <= '9'; });
}

// Names in a folder, sorted, so that the order does not depend on the file system.
std::vector<fs::path> sorted_entries(const fs::path& directory) {
  std::vector<fs::path> entries;
  try {
    for (const auto& entry : fs::directory_iterator(directory)) entries.push_back(entry.path());
  } catch (const fs::filesystem_error& error) {
    throw Error(concat(directory.string(), ": cannot be listed: ", error.code().message()));
  }
  std::sort(entries.begin(), entries.end());
  return entries;
}

std::vector<std::string> class_folders(const fs::path& root) {
  std::vector<std::string> names;
  for (const fs::path& entry : sorted_entries(root)) {
    if (fs::is_directory(entry)) names.push_back(entry.filename().string());
  }
  return names;
}

// The readable images of `root`, a folder of one folder a class.
LabelledFiles scan(const fs::path& root, const std::vector<std::string>& class_names,
                   const std::string& name, bool skip_bad, const std::string& remedy) {
  LabelledFiles files;
  files.name = name + ":" + root.string();
  for (const std::string& folder : class_folders(root)) {
    const fs::path directory = root / folder;
    const auto found = std::lower_bound(class_names.begin(), class_names.end(), folder);
    BASIN_CHECK(found != class_names.end() && *found == folder, directory.string(),
                ": a class that the training images do not have; ", remedy);
    const auto label = static_cast<int32_t>(found - class_names.begin());
    for (const fs::path& path : sorted_entries(directory)) {
      if (!is_image_name(path)) continue;
      files.paths.push_back(path.string());
      files.labels.push_back(label);
    }
  }
  files.keep(readable_images(files.paths, root.string(), skip_bad, remedy));
  return files;
}

DataSplits load_folders(const std::string& kind, const fs::path& train_root,
                        const fs::path& test_root, const std::string& remedy,
                        const DataOptions& options) {
  DatasetInfo info;
  info.class_names = class_folders(train_root);
  if (kind == "imagenet") {
    for (const std::string& name : info.class_names) {
      BASIN_CHECK(is_wordnet_id(name), (train_root / name).string(),
                  ": the name of the folder is no WordNet id such as n01440764; ", remedy,
                  " (folders of other names: imagefolder:DIR)");
    }
  }
  LabelledFiles train = scan(train_root, info.class_names, kind, options.skip_bad, remedy);
  LabelledFiles test = scan(test_root, info.class_names, kind, options.skip_bad, remedy);
  std::vector<bool> present(info.class_names.size());
  for (const int32_t label : train.labels) present[label] = true;
  for (size_t c = 0; c < present.size(); ++c) {
    BASIN_CHECK(present[c], (train_root / info.class_names[c]).string(),
                ": no image of this class can be read; ", remedy);
  }
  return split_photos(std::move(info), std::move(train), std::move(test), options);
}

}  // namespace

DataSplits load_image_folder(const std::string& directory, const DataOptions& options) {
  const std::string remedy =
      concat("imagefolder:", directory,
             " expects train/CLASS/*.{png,jpg,jpeg}, and test/ or val/ with the same classes");
  const fs::path train_root = fs::path(directory) / "train";
  fs::path test_root = fs::path(directory) / "test";
  if (!fs::is_directory(test_root)) test_root = fs::path(directory) / "val";
  for (const fs::path& root : {train_root, test_root}) {
    BASIN_CHECK(fs::is_directory(root), root.string(), ": no such folder; ", remedy);
  }
  return load_folders("imagefolder", train_root, test_root, remedy, options);
}

DataSplits load_imagenet(const std::string& directory, const DataOptions& options) {
  const std::string remedy =
      concat("imagenet:", directory,
             " expects train/WNID/*.JPEG and val/WNID/*.JPEG, the validation images sorted into "
             "folders by class as the training images are");
  const fs::path train_root = fs::path(directory) / "train",
                 test_root = fs::path(directory) / "val";
  for (const fs::path& root : {train_root, test_root}) {
    BASIN_CHECK(fs::is_directory(root), root.string(), ": no such folder; ", remedy);
    BASIN_CHECK(!class_folders(root).empty(), root.string(), ": holds no folders; ", remedy);
  }
  return load_folders("imagenet", train_root, test_root, remedy, options);
}

}  // namespace basin::data
