// A library that is loaded when it is needed, so that the program runs on machines without it.
#pragma once

#include <dlfcn.h>

#include <string>

#include "kernels/base/check.h"

namespace basin {

// Stays loaded until the process ends: CUDA's libraries do not support being unloaded.
class SharedLibrary {
 public:
  // Loads the file that the build found, or, where that is gone, what the system finds under its
  // name (LD_LIBRARY_PATH, ldconfig). Throws Error, with `remedy`, when there is none.
  SharedLibrary(const std::string& path, const std::string& remedy) : path_(path) {
    const std::string name = path.substr(path.rfind('/') + 1);
    handle_ = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (!handle_) handle_ = dlopen(name.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (!handle_) {
      const char* why = dlerror();
      throw Error(concat("cannot load ", name, ", neither from ", path,
                         " nor from the system: ", why ? why : "unknown error", "; ", remedy));
    }
  }

  // The function of type F with that name. Throws Error when the library lacks it.
  template <class F>
  F function(const char* name) const {
    void* address = dlsym(handle_, name);
    BASIN_CHECK(address, path_, " has no function ", name, "; install a newer version");
    return reinterpret_cast<F>(address);
  }

 private:
  std::string path_;
  void* handle_;
};

}  // namespace basin
