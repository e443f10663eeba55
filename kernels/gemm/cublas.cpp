// Matrix products by cuBLASLt.
//
// Its matrices are column-major, ours row-major: a row-major [m, n] is a column-major [n, m], so
// C = op(A) op(B) is asked for as C' = op(B)' op(A)', with the operands swapped and nothing moved.
//
// The algorithm is the first that cuBLASLt's heuristic names, which depends on the shape alone, so
// the bits do not change between runs. Partial sums of a split k are kept in float and added in a
// fixed order: the reductions in place and in the type of C are excluded.
#include <cublasLt.h>

#include <algorithm>
#include <compare>
#include <cstdint>
#include <map>
#include <type_traits>

#include "kernels/base/bf16.h"
#include "kernels/base/check.h"
#include "kernels/device/cuda.h"
#include "kernels/device/declarations.h"
#include "kernels/device/shared_library.h"
#include "kernels/gemm/call.h"

namespace basin::cuda {
namespace {

// The functions of the library that are used here.
struct Functions {
  Functions() : library(BASIN_CUBLASLT_LIBRARY, "install cuBLAS of this CUDA toolkit") {}
  SharedLibrary library;
#define BASIN_FUNCTION(member, name) \
  decltype(&name) member = library.function<decltype(&name)>(#name)
  BASIN_FUNCTION(create, cublasLtCreate);
  BASIN_FUNCTION(destroy, cublasLtDestroy);
  BASIN_FUNCTION(status_text, cublasLtGetStatusString);
  BASIN_FUNCTION(status_name, cublasLtGetStatusName);
  BASIN_FUNCTION(product_create, cublasLtMatmulDescCreate);
  BASIN_FUNCTION(product_destroy, cublasLtMatmulDescDestroy);
  BASIN_FUNCTION(product_set, cublasLtMatmulDescSetAttribute);
  BASIN_FUNCTION(layout_create, cublasLtMatrixLayoutCreate);
  BASIN_FUNCTION(layout_destroy, cublasLtMatrixLayoutDestroy);
  BASIN_FUNCTION(preference_create, cublasLtMatmulPreferenceCreate);
  BASIN_FUNCTION(preference_destroy, cublasLtMatmulPreferenceDestroy);
  BASIN_FUNCTION(preference_set, cublasLtMatmulPreferenceSetAttribute);
  BASIN_FUNCTION(heuristic, cublasLtMatmulAlgoGetHeuristic);
  BASIN_FUNCTION(multiply, cublasLtMatmul);
#undef BASIN_FUNCTION
};

// What an algorithm depends on.
struct Problem {
  cudaDataType_t type, output_type;
  bool transpose_a, transpose_b;
  int64_t m, n, k;
  uint32_t align_a, align_b, align_c;  // bytes

  auto operator<=>(const Problem&) const = default;
  std::string text() const {
    const auto name = [](cudaDataType_t each) { return each == CUDA_R_16BF ? "bf16" : "float"; };
    return concat("gemm of ", name(type), " to ", name(output_type), ", m ", m, ", n ", n, ", k ",
                  k, transpose_a ? ", A transposed" : "", transpose_b ? ", B transposed" : "");
  }
};

// A handle that is created and destroyed by two functions of the library.
template <class Handle>
class Owned {
 public:
  explicit Owned(cublasStatus_t (*destroy)(Handle)) : destroy_(destroy) {}
  ~Owned() {
    if (handle) destroy_(handle);
  }
  Owned(Owned&& other) noexcept
      : handle(std::exchange(other.handle, nullptr)), destroy_(other.destroy_) {}
  Owned& operator=(Owned&&) = delete;
  Handle handle = nullptr;

 private:
  cublasStatus_t (*destroy_)(Handle);
};

struct Product {
  Owned<cublasLtMatmulDesc_t> description;
  Owned<cublasLtMatrixLayout_t> first, second, output;
  cublasLtMatmulAlgo_t algorithm;
};

// The largest power of two, up to 256, that divides the address.
uint32_t alignment(const void* address) {
  uint32_t bytes = 256;
  while (reinterpret_cast<uintptr_t>(address) % bytes != 0) bytes /= 2;
  return bytes;
}

template <class T>
constexpr cudaDataType_t kType = std::is_same_v<T, Bf16> ? CUDA_R_16BF : CUDA_R_32F;

// cuBLASLt on one stream. Not thread-safe.
struct Cublas {
  explicit Cublas(const Stream& stream)
      : workspace_bytes(std::min(stream.options().workspace_limit, kWorkspaceBytes)),
        allow_tf32(stream.options().allow_tf32),
        handle(functions.destroy) {
    check(functions.create(&handle.handle), "cublasLtCreate");
    workspace = allocate(workspace_bytes);
  }
  ~Cublas() { release(workspace); }
  Cublas(const Cublas&) = delete;
  Cublas& operator=(const Cublas&) = delete;

  template <class... Parts>
  void check(cublasStatus_t status, const Parts&... what) const {
    BASIN_CHECK(status == CUBLAS_STATUS_SUCCESS, concat(what...), ": ",
                functions.status_name(status), ", ", functions.status_text(status));
  }

  Product& product(const Problem& problem);

  // What NVIDIA recommends for Hopper; algorithms of other GPUs want less.
  static constexpr int64_t kWorkspaceBytes = int64_t{32} << 20;
  Functions functions;
  int64_t workspace_bytes;
  bool allow_tf32;
  Owned<cublasLtHandle_t> handle;
  void* workspace = nullptr;
  std::map<Problem, Product> products;
};

Product& Cublas::product(const Problem& problem) {
  const auto found = products.find(problem);
  if (found != products.end()) return found->second;

  Product product{Owned<cublasLtMatmulDesc_t>(functions.product_destroy),
                  Owned<cublasLtMatrixLayout_t>(functions.layout_destroy),
                  Owned<cublasLtMatrixLayout_t>(functions.layout_destroy),
                  Owned<cublasLtMatrixLayout_t>(functions.layout_destroy),
                  {}};
  // In float, CUBLAS_COMPUTE_32F itself may split floats into parts of fewer bits.
  const cublasComputeType_t compute = problem.type == CUDA_R_16BF ? CUBLAS_COMPUTE_32F
                                      : allow_tf32                ? CUBLAS_COMPUTE_32F_FAST_TF32
                                                                  : CUBLAS_COMPUTE_32F_PEDANTIC;
  check(functions.product_create(&product.description.handle, compute, CUDA_R_32F),
        "cublasLtMatmulDescCreate");
  const cublasOperation_t first_operation = problem.transpose_b ? CUBLAS_OP_T : CUBLAS_OP_N;
  const cublasOperation_t second_operation = problem.transpose_a ? CUBLAS_OP_T : CUBLAS_OP_N;
  check(functions.product_set(product.description.handle, CUBLASLT_MATMUL_DESC_TRANSA,
                              &first_operation, sizeof(first_operation)),
        "CUBLASLT_MATMUL_DESC_TRANSA");
  check(functions.product_set(product.description.handle, CUBLASLT_MATMUL_DESC_TRANSB,
                              &second_operation, sizeof(second_operation)),
        "CUBLASLT_MATMUL_DESC_TRANSB");

  // Stored row-major [rows, columns] is column-major [columns, rows].
  const auto layout = [&](Owned<cublasLtMatrixLayout_t>& to, cudaDataType_t type, int64_t rows,
                          int64_t columns) {
    check(functions.layout_create(&to.handle, type, static_cast<uint64_t>(columns),
                                  static_cast<uint64_t>(rows), columns),
          "cublasLtMatrixLayoutCreate");
  };
  const auto& p = problem;
  layout(product.first, p.type, p.transpose_b ? p.n : p.k, p.transpose_b ? p.k : p.n);
  layout(product.second, p.type, p.transpose_a ? p.k : p.m, p.transpose_a ? p.m : p.k);
  layout(product.output, p.output_type, p.m, p.n);

  Owned<cublasLtMatmulPreference_t> preference(functions.preference_destroy);
  check(functions.preference_create(&preference.handle), "cublasLtMatmulPreferenceCreate");
  const auto prefer = [&](cublasLtMatmulPreferenceAttributes_t attribute, const auto& value) {
    check(functions.preference_set(preference.handle, attribute, &value, sizeof(value)),
          "cublasLtMatmulPreferenceSetAttribute ", static_cast<int>(attribute));
  };
  prefer(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, static_cast<uint64_t>(workspace_bytes));
  prefer(CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK,
         static_cast<uint32_t>(CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE));
  prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, problem.align_b);
  prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, problem.align_a);
  prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, problem.align_c);
  prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, problem.align_c);

  cublasLtMatmulHeuristicResult_t result{};
  int count = 0;
  check(functions.heuristic(handle.handle, product.description.handle, product.first.handle,
                            product.second.handle, product.output.handle, product.output.handle,
                            preference.handle, 1, &result, &count),
        problem.text(), ": cublasLtMatmulAlgoGetHeuristic");
  BASIN_CHECK(count == 1, problem.text(), ": cuBLASLt has no algorithm for it");
  check(result.state, problem.text(), ": cuBLASLt's algorithm");
  product.algorithm = result.algo;
  return products.emplace(problem, std::move(product)).first->second;
}

template <class T, class Output>
void multiply(const Gemm<T, Output>& call, Stream& stream) {
  if (call.m == 0 || call.n == 0) return;
  if (call.k == 0) {
    if (!call.accumulate) stream.zero(call.c, call.m * call.n * int64_t{sizeof(Output)});
    return;
  }
  auto& cublas = stream.context<Cublas>();
  const Problem problem{
      kType<T>, kType<Output>, call.transpose_a,  call.transpose_b,  call.m,
      call.n,   call.k,        alignment(call.a), alignment(call.b), alignment(call.c)};
  const Product& product = cublas.product(problem);
  const float alpha = 1, beta = call.accumulate ? 1 : 0;
  cublas.check(
      cublas.functions.multiply(cublas.handle.handle, product.description.handle, &alpha, call.b,
                                product.first.handle, call.a, product.second.handle, &beta, call.c,
                                product.output.handle, call.c, product.output.handle,
                                &product.algorithm, cublas.workspace,
                                static_cast<size_t>(cublas.workspace_bytes), stream.cuda_handle()),
      problem.text(), ": cublasLtMatmul");
}

}  // namespace

void check_cublas() {
  Functions();
}

template <>
void run(const Gemm<float>& call, Stream& stream) {
  multiply(call, stream);
}
template <>
void run(const Gemm<Bf16>& call, Stream& stream) {
  multiply(call, stream);
}
template <>
void run(const Gemm<Bf16, float>& call, Stream& stream) {
  multiply(call, stream);
}

}  // namespace basin::cuda
