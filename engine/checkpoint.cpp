// Reading and writing a State as safetensors.
#include "engine/checkpoint.h"

#include <algorithm>
#include <cstring>

namespace basin {
namespace {

constexpr const char* kMomentumPrefix = "momentum.";

// Sizes as the file has them: [K,R,S,C] in memory is [K,C,R,S] there.
std::vector<int64_t> file_shape(const Shape& shape) {
  if (shape.rank() == 4) return {shape[0], shape[3], shape[1], shape[2]};
  std::vector<int64_t> sizes;
  for (int i = 0; i < shape.rank(); ++i) sizes.push_back(shape[i]);
  return sizes;
}

template <class T>
void to_file_layout(const T* memory, T* file, const Shape& s) {
  if (s.rank() != 4) {
    std::copy(memory, memory + s.elements(), file);
    return;
  }
  const int64_t taps = s[1] * s[2], channels = s[3];
  for (int64_t k = 0; k < s[0]; ++k) {
    for (int64_t tap = 0; tap < taps; ++tap) {
      for (int64_t c = 0; c < channels; ++c) {
        file[(k * channels + c) * taps + tap] = memory[(k * taps + tap) * channels + c];
      }
    }
  }
}

template <class T>
void from_file_layout(const T* file, T* memory, const Shape& s) {
  if (s.rank() != 4) {
    std::copy(file, file + s.elements(), memory);
    return;
  }
  const int64_t taps = s[1] * s[2], channels = s[3];
  for (int64_t k = 0; k < s[0]; ++k) {
    for (int64_t tap = 0; tap < taps; ++tap) {
      for (int64_t c = 0; c < channels; ++c) {
        memory[(k * taps + tap) * channels + c] = file[(k * channels + c) * taps + tap];
      }
    }
  }
}

std::string sizes_text(const std::vector<int64_t>& sizes) {
  std::string text = "[";
  for (size_t i = 0; i < sizes.size(); ++i) text += (i ? ", " : "") + std::to_string(sizes[i]);
  return text + "]";
}

void append_list(std::string& message, const char* title, const std::vector<std::string>& names) {
  if (names.empty()) return;
  message += std::string("; ") + title + " (" + std::to_string(names.size()) + "):";
  for (const std::string& name : names) message += " " + name;
}

}  // namespace

void save_checkpoint(const State& state, const std::filesystem::path& path,
                     const std::map<std::string, std::string>& metadata, Momentum momentum) {
  dispatch_parameters(state.value_dtype(), [&]<class T>() {
    SafetensorsWriter writer;
    for (const auto& [key, value] : metadata) writer.set_metadata(key, value);
    std::vector<std::vector<T>> kept;
    std::vector<T> on_host;
    auto add = [&](const std::string& name, const Shape& shape, const T* data) {
      on_host.resize(static_cast<size_t>(shape.elements()));
      state.stream().copy_to_host(on_host.data(), data, shape.elements() * int64_t{sizeof(T)});
      kept.emplace_back(on_host.size());
      to_file_layout(on_host.data(), kept.back().data(), shape);
      writer.add(name, sizeof(T) == 8 ? FileDtype::kF64 : FileDtype::kF32, file_shape(shape),
                 kept.back().data());
    };
    for (const State::Entry& entry : state.entries()) {
      add(entry.name, entry.shape, entry.tensor.data<T>());
    }
    if (momentum == Momentum::kWith) {
      for (const State::Entry& entry : state.entries()) {
        if (entry.buffer) continue;
        add(kMomentumPrefix + entry.name, entry.shape,
            static_cast<const T*>(state.flat_momentum()) + entry.offset);
      }
    }
    writer.write(path);
  });
}

std::map<std::string, std::string> load_checkpoint(State& state, const std::filesystem::path& path,
                                                   const LoadOptions& options) {
  return load_checkpoint(state, SafetensorsReader(path), options);
}

std::map<std::string, std::string> load_checkpoint(State& state, const SafetensorsReader& reader,
                                                   const LoadOptions& options) {
  const std::filesystem::path& path = reader.path();
  std::map<std::string, const TensorInfo*> in_file;  // without "module."
  for (const TensorInfo& info : reader.tensors()) {
    const std::string prefix = "module.";
    const std::string name =
        info.name.starts_with(prefix) ? info.name.substr(prefix.size()) : info.name;
    BASIN_CHECK(in_file.emplace(name, &info).second, path.string(), ": two tensors are named ",
                name);
  }
  auto skipped = [&](const std::string& name) {
    return std::find(options.skip.begin(), options.skip.end(), name) != options.skip.end();
  };
  struct Copy {
    const TensorInfo* info;
    const State::Entry* entry;
    bool momentum;
  };
  std::vector<Copy> copies;
  std::vector<std::string> missing, unexpected, differing;
  auto expect = [&](const std::string& name, const State::Entry& entry, bool is_momentum) {
    const auto it = in_file.find(name);
    if (it == in_file.end()) {
      missing.push_back(name);
    } else if (it->second->shape != file_shape(entry.shape)) {
      differing.push_back(name + " " + sizes_text(it->second->shape) + " in the file, " +
                          sizes_text(file_shape(entry.shape)) + " in the network");
    } else {
      copies.push_back({it->second, &entry, is_momentum});
    }
    if (it != in_file.end()) in_file.erase(it);
  };
  for (const State::Entry& entry : state.entries()) {
    if (skipped(entry.name)) {
      in_file.erase(entry.name);
      in_file.erase(kMomentumPrefix + entry.name);
      continue;
    }
    expect(entry.name, entry, false);
    if (options.momentum == Momentum::kWith && !entry.buffer) {
      expect(kMomentumPrefix + entry.name, entry, true);
    }
  }
  for (const auto& [name, info] : in_file) {
    if (name.ends_with(".num_batches_tracked")) continue;
    if (options.momentum == Momentum::kWithout && name.starts_with(kMomentumPrefix)) continue;
    unexpected.push_back(name);
  }
  if (!missing.empty() || !unexpected.empty() || !differing.empty()) {
    std::string message = path.string() + " does not fit the network";
    append_list(message, "missing", missing);
    append_list(message, "unexpected", unexpected);
    append_list(message, "of another shape", differing);
    throw Error(message +
                ". Is --model (and --width, the number of classes) the one it was saved from?");
  }
  dispatch_parameters(state.value_dtype(), [&]<class T>() {
    std::vector<T> buffer, in_memory_layout;
    for (const Copy& copy : copies) {
      buffer.resize(static_cast<size_t>(copy.entry->shape.elements()));
      in_memory_layout.resize(buffer.size());
      if constexpr (sizeof(T) == 8) {
        reader.read_f64(*copy.info, buffer.data());
      } else {
        reader.read_f32(*copy.info, buffer.data());
      }
      T* to = copy.momentum ? static_cast<T*>(state.flat_momentum()) + copy.entry->offset
                            : copy.entry->tensor.data<T>();
      from_file_layout(buffer.data(), in_memory_layout.data(), copy.entry->shape);
      state.stream().copy_to_device(to, in_memory_layout.data(),
                                    copy.entry->shape.elements() * int64_t{sizeof(T)});
    }
  });
  state.update_copy();
  return reader.metadata();
}

}  // namespace basin
