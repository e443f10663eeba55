// Checkpoints: what is saved comes back bit for bit, under PyTorch's names and layouts, and what
// does not fit is refused before anything changes.
#include "engine/checkpoint.h"
#include "models/registry.h"

#include <doctest/doctest.h>
#include <sys/stat.h>

#include <fstream>

#include "engine/files.h"
#include "engine/safetensors.h"
#include "tests/support/errors.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/training.h"

using namespace basin;
using namespace basin::test;
namespace fs = std::filesystem;

namespace {

struct OnCpuWithFile : OnCpu {
  TemporaryFolder folder;
  const fs::path path = folder.path / "a.safetensors";
};

// Writes all tensors of `file` to `path` under names changed by `rename`; an empty name leaves the
// tensor out.
template <class Rename>
void rewrite(const fs::path& file, const fs::path& path, const Rename& rename) {
  const SafetensorsReader reader(file);
  SafetensorsWriter writer;
  for (const TensorInfo& info : reader.tensors()) {
    const std::string name = rename(info.name);
    if (!name.empty()) writer.add(name, info.dtype, info.shape, reader.data(info));
  }
  writer.write(path);
}

}  // namespace

TEST_CASE_FIXTURE(OnCpuWithFile,
                  "every kind of network is the same after saving and loading, with its momentum") {
  for (const char* name : {"fixup_resnet8", "resnet8", "fixup_resnet18", "resnet18",
                           "fixup_resnet50_32", "resnet50_32"}) {
    const auto saved = small_network(name, stream), loaded = small_network(name, stream);
    randomise(*saved, 1);
    randomise(*loaded, 2);
    auto* momentum = static_cast<float*>(saved->state().flat_momentum());
    for (const State::Entry& entry : saved->state().entries()) {
      if (entry.buffer) continue;
      for (int64_t i = 0; i < entry.shape.elements(); ++i) {
        momentum[entry.offset + i] = static_cast<float>(entry.offset + i) * 0x1p-10f;
      }
    }
    save_checkpoint(saved->state(), path, {{"model", name}, {"epoch", "3"}}, Momentum::kWith);
    const auto metadata =
        load_checkpoint(loaded->state(), path, {.skip = {}, .momentum = Momentum::kWith});
    CHECK(same_values(loaded->state(), saved->state()));
    CHECK(same_momentum(loaded->state(), saved->state()));
    CHECK(metadata.at("model") == name);
    CHECK(metadata.at("epoch") == "3");
    CHECK(metadata.at("format") == "pt");
    // The values alone are enough where the momentum is not asked for.
    randomise(*loaded, 3);
    load_checkpoint(loaded->state(), path);
    CHECK(same_values(loaded->state(), saved->state()));
  }
}

TEST_CASE_FIXTURE(OnCpuWithFile, "a network in double is saved without rounding") {
  const ModelOptions options{.name = "fixup_resnet8", .classes = 3, .width = 4};
  const auto a = make_network(options, DType::kF64, stream, State::Use::kValuesOnly);
  const auto b = make_network(options, DType::kF64, stream, State::Use::kValuesOnly);
  a->initialize(1);
  save_checkpoint(a->state(), path, {});
  load_checkpoint(b->state(), path);
  CHECK(std::memcmp(a->state().flat_values(), b->state().flat_values(),
                    static_cast<size_t>(a->state().flat_size()) * 8) == 0);
}

TEST_CASE_FIXTURE(OnCpuWithFile, "convolution weights are OIHW in the file, all else as it is") {
  const auto network = small_network("fixup_resnet8", stream);
  randomise(*network, 1);
  save_checkpoint(network->state(), path, {});
  const SafetensorsReader reader(path);
  CHECK(reader.tensors().size() == network->state().entries().size());
  for (const char* name : {"conv1.weight", "layer2.0.conv1.weight", "layer2.0.downsample.weight"}) {
    const State::Entry* entry = network->state().find(name);
    const TensorInfo* info = reader.find(name);
    REQUIRE(entry);
    REQUIRE(info);
    const Shape& s = entry->shape;
    CHECK(info->dtype == FileDtype::kF32);
    REQUIRE(info->shape == std::vector<int64_t>{s[0], s[3], s[1], s[2]});
    std::vector<float> file(static_cast<size_t>(s.elements()));
    reader.read_f32(*info, file.data());
    int64_t wrong = 0, at = 0;
    for (int64_t o = 0; o < s[0]; ++o) {
      for (int64_t i = 0; i < s[3]; ++i) {
        for (int64_t h = 0; h < s[1]; ++h) {
          for (int64_t w = 0; w < s[2]; ++w, ++at) {
            const int64_t memory = ((o * s[1] + h) * s[2] + w) * s[3] + i;
            wrong += file[static_cast<size_t>(at)] != entry->tensor.data<float>()[memory];
          }
        }
      }
    }
    CHECK(wrong == 0);
  }
  const State::Entry* fc = network->state().find("fc.weight");
  std::vector<float> file(static_cast<size_t>(fc->shape.elements()));
  reader.read_f32(*reader.find("fc.weight"), file.data());
  CHECK(std::memcmp(file.data(), fc->tensor.data<float>(), file.size() * 4) == 0);
  CHECK(reader.find("layer1.0.scale")->shape == std::vector<int64_t>{1});
}

TEST_CASE_FIXTURE(OnCpuWithFile, "what does not fit is listed, and nothing changes") {
  const fs::path other = folder.path / "b.safetensors";
  const auto network = small_network("fixup_resnet8", stream);
  const auto target = small_network("fixup_resnet8", stream, 5);
  const auto before = small_network("fixup_resnet8", stream, 5);
  randomise(*network, 1);
  randomise(*target, 2);
  before->state().copy_from(target->state());
  save_checkpoint(network->state(), path, {});
  rewrite(path, other, [](const std::string& name) -> std::string {
    if (name == "layer1.0.scale" || name == "bias1") return "";
    return name == "layer2.0.conv1.weight" ? "layer2.0.convolution" : name;
  });
  const std::string message = error_of([&] { load_checkpoint(target->state(), other); });
  CHECK(contains(message, other.string()));
  CHECK(contains(message, "missing (3): bias1 layer1.0.scale layer2.0.conv1.weight"));
  CHECK(contains(message, "unexpected (1): layer2.0.convolution"));
  CHECK(contains(message, "of another shape (2): fc.weight [3, 16] in the file, [5, 16]"));
  CHECK(contains(message, "fc.bias [3] in the file, [5] in the network"));
  CHECK(same_values(target->state(), before->state()));
  CHECK(contains(error_of([&] {
                   load_checkpoint(network->state(), path,
                                   {.skip = {}, .momentum = Momentum::kWith});
                 }),
                 "momentum.conv1.weight"));
  CHECK(
      contains(error_of([&] { load_checkpoint(network->state(), folder.path / "none"); }), "none"));
}

TEST_CASE_FIXTURE(OnCpuWithFile,
                  "fine-tuning loads all but the classifier, of another number of classes") {
  const fs::path headless = folder.path / "b.safetensors";
  for (Momentum momentum : {Momentum::kWithout, Momentum::kWith}) {
    const auto source = small_network("fixup_resnet8", stream, 3);
    const auto target = small_network("fixup_resnet8", stream, 5);
    const auto fresh = small_network("fixup_resnet8", stream, 5);
    randomise(*source, 1);
    randomise(*target, 2);
    fresh->state().copy_from(target->state());
    save_checkpoint(source->state(), path, {}, momentum);
    rewrite(path, headless, [](const std::string& name) {
      return name.find("fc.") != std::string::npos ? std::string() : name;
    });
    for (const fs::path& file : {path, headless}) {
      target->state().copy_from(fresh->state());
      load_checkpoint(target->state(), file,
                      {.skip = {"fc.weight", "fc.bias"}, .momentum = momentum});
      for (const State::Entry& entry : target->state().entries()) {
        const bool head = entry.name.starts_with("fc.");
        const State& want = head ? fresh->state() : source->state();
        CHECK(same_values(entry, *want.find(entry.name)));
      }
    }
  }
}

TEST_CASE_FIXTURE(OnCpuWithFile,
                  "files of PyTorch open: the prefix of DataParallel, and counters of batches") {
  const fs::path prefixed = folder.path / "b.safetensors", counted = folder.path / "c.safetensors";
  const auto network = small_network("resnet8", stream), loaded = small_network("resnet8", stream);
  randomise(*network, 1);
  save_checkpoint(network->state(), path, {});
  rewrite(path, prefixed, [](const std::string& name) { return "module." + name; });
  load_checkpoint(loaded->state(), prefixed);
  CHECK(same_values(loaded->state(), network->state()));

  SafetensorsWriter writer;
  const SafetensorsReader reader(path);
  const int64_t batches = 1234;
  for (const TensorInfo& info : reader.tensors()) {
    writer.add(info.name, info.dtype, info.shape, reader.data(info));
    if (info.name.ends_with(".running_var")) {
      const std::string norm = info.name.substr(0, info.name.rfind('.'));
      writer.add(norm + ".num_batches_tracked", FileDtype::kI64, {}, &batches);
    }
  }
  writer.write(counted);
  CHECK(SafetensorsReader(counted).tensors().size() > reader.tensors().size());
  randomise(*loaded, 2);
  load_checkpoint(loaded->state(), counted);
  CHECK(same_values(loaded->state(), network->state()));

  SafetensorsWriter both;
  for (const TensorInfo& info : reader.tensors()) {
    both.add(info.name, info.dtype, info.shape, reader.data(info));
  }
  both.add("module.fc.bias", FileDtype::kF32, {3}, reader.data(*reader.find("fc.bias")));
  both.write(counted);
  CHECK(contains(error_of([&] { load_checkpoint(loaded->state(), counted); }), "fc.bias"));
}

TEST_CASE_FIXTURE(OnCpuWithFile, "weights of other precision are converted") {
  const ModelOptions options{.name = "fixup_resnet8", .classes = 3, .width = 4};
  const auto wide = make_network(options, DType::kF64, stream, State::Use::kValuesOnly);
  const auto narrow = make_network(options, DType::kF32, stream, State::Use::kValuesOnly);
  wide->initialize(1);
  save_checkpoint(wide->state(), path, {});
  load_checkpoint(narrow->state(), path);
  int64_t wrong = 0;
  for (int64_t i = 0; i < wide->state().flat_size(); ++i) {
    wrong += static_cast<const float*>(narrow->state().flat_values())[i] !=
             static_cast<float>(static_cast<const double*>(wide->state().flat_values())[i]);
  }
  CHECK(wrong == 0);
}

TEST_CASE_FIXTURE(
    OnCpuWithFile,
    "writing that fails leaves the old checkpoint, and a truncated one is refused whole") {
  const auto network = small_network("fixup_resnet8", stream);
  const auto loaded = small_network("fixup_resnet8", stream);
  const auto before = small_network("fixup_resnet8", stream);
  randomise(*network, 1);
  save_checkpoint(network->state(), path, {{"epoch", "1"}});
  const std::string bytes = read_file(path);
  // A folder of that name stops the temporary file.
  const fs::path partial = path.string() + std::string(AtomicFile::kSuffix);
  fs::create_directory(partial);
  CHECK(error_of([&] { save_checkpoint(network->state(), path, {{"epoch", "2"}}); }) != "");
  fs::remove(partial);
  CHECK(read_file(path) == bytes);
  // What a killed program left: ignored by loading, replaced by the next save.
  std::ofstream(partial) << "half a checkpoint";
  CHECK(load_checkpoint(loaded->state(), path).at("epoch") == "1");
  save_checkpoint(network->state(), path, {{"epoch", "2"}});
  CHECK(load_checkpoint(loaded->state(), path).at("epoch") == "2");
  CHECK(!fs::exists(partial));

  randomise(*loaded, 2);
  before->state().copy_from(loaded->state());
  const std::string whole = read_file(path);
  for (size_t keep : {whole.size() - 1, whole.size() / 2, size_t{100}, size_t{0}}) {
    write_file_atomically(path, std::string_view(whole).substr(0, keep));
    CHECK(contains(error_of([&] { load_checkpoint(loaded->state(), path); }), path.string()));
    CHECK(same_values(loaded->state(), before->state()));
  }
}

TEST_CASE_FIXTURE(OnCpuWithFile, "save, load, go on is the uninterrupted run, bit for bit") {
  for (const char* name : {"fixup_resnet8", "resnet8"}) {
    const auto whole = small_network(name, stream), first = small_network(name, stream),
               second = small_network(name, stream);
    whole->initialize(1);
    first->initialize(1);
    second->initialize(2);
    Training uninterrupted(*whole), before(*first), after(*second);
    std::vector<float> losses, resumed;
    for (int i = 0; i < 6; ++i) losses.push_back(uninterrupted.step(arena, i < 4 ? 0.1 : 0.01));
    for (int i = 0; i < 3; ++i) resumed.push_back(before.step(arena, 0.1));
    save_checkpoint(first->state(), path, {}, Momentum::kWith);
    load_checkpoint(second->state(), path, {.skip = {}, .momentum = Momentum::kWith});
    for (int i = 3; i < 6; ++i) resumed.push_back(after.step(arena, i < 4 ? 0.1 : 0.01));
    CHECK(resumed == losses);
    CHECK(same_values(second->state(), whole->state()));
    CHECK(same_momentum(second->state(), whole->state()));
  }
}
