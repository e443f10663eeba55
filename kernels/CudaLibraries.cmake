# Finds the headers and libraries of cuDNN 9 and cuBLASLt: in CUDNN_ROOT, beside nvcc, where Debian's
# and Ubuntu's packages put them, in the wheels of a Python. Nothing is linked: the program loads the
# libraries when the CUDA device is used (kernels/device/shared_library.h), so that it runs without them, too.
#
# Sets CUDNN_INCLUDE_DIR, CUDNN_LIBRARY, CUBLASLT_INCLUDE_DIR, CUBLASLT_LIBRARY; stops when one is missing.
set(CUDNN_ROOT "$ENV{CUDNN_ROOT}" CACHE PATH "Folder of cuDNN, with include/ and lib/ in it; empty: search")

function(basin_find_cuda_libraries)
  cmake_path(GET CMAKE_CUDA_COMPILER PARENT_PATH bin)
  file(REAL_PATH "${CMAKE_CUDA_COMPILER}" real_compiler)
  cmake_path(GET real_compiler PARENT_PATH real_bin)
  set(folders ${CUDNN_ROOT} ${CUDAToolkit_TARGET_DIR} ${bin}/.. ${real_bin}/.. /usr/local/cuda /usr /usr/local)

  # A wheel installs cuDNN into nvidia/cudnn, and cuBLAS into nvidia/cublas or, from 13 on, nvidia/cu13.
  find_program(BASIN_PYTHON NAMES python3)
  mark_as_advanced(BASIN_PYTHON)
  if(BASIN_PYTHON)
    execute_process(
      COMMAND ${BASIN_PYTHON} -c "import importlib.util as u; s = u.find_spec('nvidia'); print(';'.join(s.submodule_search_locations) if s else '', end='')"
      OUTPUT_VARIABLE wheels ERROR_QUIET)
    foreach(wheel ${wheels})
      list(APPEND folders ${wheel}/cudnn ${wheel}/cublas ${wheel}/cu${CUDAToolkit_VERSION_MAJOR})
    endforeach()
  endif()
  # A CUDNN_ROOT inside a wheel has cuBLAS beside it.
  if(CUDNN_ROOT)
    list(APPEND folders ${CUDNN_ROOT}/../cublas ${CUDNN_ROOT}/../cu${CUDAToolkit_VERSION_MAJOR})
  endif()
  list(TRANSFORM folders REPLACE "/+$" "")
  list(REMOVE_DUPLICATES folders)

  set(library_folders lib64 lib lib/${CMAKE_LIBRARY_ARCHITECTURE} targets/x86_64-linux/lib .)
  set(include_folders include include/${CMAKE_LIBRARY_ARCHITECTURE} targets/x86_64-linux/include)
  # find_file, not find_library: a wheel and a package for running only have no lib*.so.
  find_path(CUDNN_INCLUDE_DIR cudnn_graph.h PATHS ${folders} PATH_SUFFIXES ${include_folders} NO_DEFAULT_PATH)
  find_file(CUDNN_LIBRARY libcudnn.so.9 PATHS ${folders} PATH_SUFFIXES ${library_folders} NO_DEFAULT_PATH)
  find_path(CUBLASLT_INCLUDE_DIR cublasLt.h PATHS ${folders} PATH_SUFFIXES ${include_folders} NO_DEFAULT_PATH)
  find_file(CUBLASLT_LIBRARY libcublasLt.so.${CUDAToolkit_VERSION_MAJOR} PATHS ${folders} PATH_SUFFIXES ${library_folders} NO_DEFAULT_PATH)

  set(missing)
  if(NOT CUDNN_INCLUDE_DIR)
    list(APPEND missing "the headers of cuDNN 9 (cudnn_graph.h)")
  endif()
  if(NOT CUDNN_LIBRARY)
    list(APPEND missing "libcudnn.so.9")
  endif()
  if(NOT CUBLASLT_INCLUDE_DIR)
    list(APPEND missing "the header of cuBLASLt (cublasLt.h)")
  endif()
  if(NOT CUBLASLT_LIBRARY)
    list(APPEND missing "libcublasLt.so.${CUDAToolkit_VERSION_MAJOR}")
  endif()
  if(missing)
    list(JOIN missing ", " missing)
    list(JOIN folders "\n  " folders)
    message(FATAL_ERROR "BASIN_CUDA=ON, but these are missing: ${missing}. Install them (Debian/Ubuntu: cudnn9-cuda-${CUDAToolkit_VERSION_MAJOR} and libcublas-dev of NVIDIA's repository; Python: pip install nvidia-cudnn-cu${CUDAToolkit_VERSION_MAJOR}), or name the folder that has include/ and lib/ with -DCUDNN_ROOT=..., or configure with the cpu preset. Looked into\n  ${folders}")
  endif()
  message(STATUS "cuDNN: ${CUDNN_LIBRARY}")
  message(STATUS "cuBLASLt: ${CUBLASLT_LIBRARY}")
endfunction()

basin_find_cuda_libraries()
