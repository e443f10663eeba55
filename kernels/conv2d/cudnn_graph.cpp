// Activations are NHWC and weights KRSC. cuDNN is told so by strides; its dimensions are in the
// order NCHW and KCRS.
#include "kernels/conv2d/cudnn_graph.h"

#include "kernels/base/check.h"

namespace basin::cuda {
namespace {

constexpr int64_t kFirstVirtual = 1000;  // names of the tensors between operations

const char* name_of(cudnnDataType_t type) {
  return type == CUDNN_DATA_BFLOAT16 ? "bf16" : "float";
}

// The names of a direction's operation and its attributes.
struct OperationNames {
  cudnnBackendDescriptorType_t type;
  cudnnBackendAttributeName_t x, w, y, convolution, alpha, beta;
};
constexpr OperationNames kOperationNames[] = {
    {CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR,
     CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W,
     CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC,
     CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA},
    {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR,
     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DX, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_W,
     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DY,
     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_CONV_DESC,
     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_ALPHA,
     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_BETA},
    {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR,
     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_X, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DW,
     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DY,
     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_CONV_DESC,
     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_ALPHA,
     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_BETA}};

}  // namespace

int64_t size_of(cudnnDataType_t type) {
  return type == CUDNN_DATA_BFLOAT16 ? 2 : 4;
}

std::string ConvolutionProblem::text() const {
  static constexpr const char* kNames[] = {"conv2d_forward", "conv2d_backward_data",
                                           "conv2d_backward_weights"};
  const Conv2dShape& s = shape;
  return concat(kNames[static_cast<int>(direction)], " ", name_of(type), " to ",
                name_of(output_type), accumulate ? " added" : "", ", x ", s.batch, "x", s.height,
                "x", s.width, "x", s.in_channels, ", w ", s.out_channels, "x", s.kernel_height, "x",
                s.kernel_width, "x", s.in_channels, ", stride ", s.stride, ", padding ", s.padding,
                bias ? ", bias" : "", residual ? ", residual" : "", relu ? ", relu" : "");
}

int64_t ConvolutionProblem::output_size() const {
  if (direction == Direction::kForward) return shape.y_size();
  return direction == Direction::kBackwardData ? shape.x_size() : shape.w_size();
}

Descriptor operation_graph(const ConvolutionProblem& problem, bool whole, cudnnHandle_t handle,
                           std::list<Descriptor>& parts) {
  const Conv2dShape& s = problem.shape;
  using Sizes = std::vector<int64_t>;
  const auto tensor = [&](int64_t name, cudnnDataType_t type, int64_t outer, int64_t channels,
                          int64_t height, int64_t width) -> const Descriptor& {
    Descriptor& t =
        parts.emplace_back(CUDNN_BACKEND_TENSOR_DESCRIPTOR, "a tensor descriptor",               //
                           CUDNN_ATTR_TENSOR_DATA_TYPE, type,                                    //
                           CUDNN_ATTR_TENSOR_DIMENSIONS, Sizes{outer, channels, height, width},  //
                           CUDNN_ATTR_TENSOR_STRIDES,                                            //
                           Sizes{height * width * channels, 1, width * channels, channels},      //
                           CUDNN_ATTR_TENSOR_UNIQUE_ID, name,                                    //
                           CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, kCudnnAlignment);
    if (name >= kFirstVirtual) t.set(CUDNN_ATTR_TENSOR_IS_VIRTUAL, true);
    return t.finalize();
  };
  const auto type_of = [&](Direction output_of) {
    return whole && problem.direction == output_of ? problem.output_type : problem.type;
  };
  const Descriptor& x =
      tensor(kX, type_of(Direction::kBackwardData), s.batch, s.in_channels, s.height, s.width);
  const Descriptor& w = tensor(kW, type_of(Direction::kBackwardWeights), s.out_channels,
                               s.in_channels, s.kernel_height, s.kernel_width);
  const auto like_y = [&](int64_t name, cudnnDataType_t type) -> const Descriptor& {
    return tensor(name, type, s.batch, s.out_channels, s.out_height(), s.out_width());
  };
  const Descriptor& y = like_y(kY, type_of(Direction::kForward));

  const Descriptor& convolution =
      parts
          .emplace_back(CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR, "the convolution descriptor",  //
                        CUDNN_ATTR_CONVOLUTION_COMP_TYPE, CUDNN_DATA_FLOAT,                  //
                        CUDNN_ATTR_CONVOLUTION_CONV_MODE, CUDNN_CROSS_CORRELATION,           //
                        CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS, int64_t{2},                     //
                        CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, Sizes(2, s.padding),            //
                        CUDNN_ATTR_CONVOLUTION_POST_PADDINGS, Sizes(2, s.padding),           //
                        CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, Sizes(2, s.stride),           //
                        CUDNN_ATTR_CONVOLUTION_DILATIONS, Sizes(2, 1))
          .finalize();

  const bool epilogue = problem.bias && whole;
  // The output of an operation that `following` others follow: y itself for the last, else float.
  int64_t following = epilogue ? 1 + (problem.residual ? 1 : 0) + (problem.relu ? 1 : 0) : 0;
  const auto next_output = [&]() -> const Descriptor& {
    return following == 0 ? y : like_y(kFirstVirtual + following, CUDNN_DATA_FLOAT);
  };
  const Descriptor* output = &next_output();
  const OperationNames& names = kOperationNames[static_cast<int>(problem.direction)];
  std::vector<const Descriptor*> operations{
      &parts
           .emplace_back(names.type, "the operation", names.x, x, names.w, w, names.y, *output,
                         names.convolution, convolution, names.alpha, 1.0f, names.beta,
                         problem.accumulate && whole ? 1.0f : 0.0f)
           .finalize()};
  // Applies `mode` to the output so far and `operand`, or to the output alone.
  const auto then = [&](cudnnPointwiseMode_t mode, const Descriptor* operand) {
    const Descriptor& pointwise =
        parts
            .emplace_back(CUDNN_BACKEND_POINTWISE_DESCRIPTOR, "a pointwise descriptor",
                          CUDNN_ATTR_POINTWISE_MODE, mode, CUDNN_ATTR_POINTWISE_MATH_PREC,
                          CUDNN_DATA_FLOAT)
            .finalize();
    --following;
    const Descriptor& result = next_output();
    Descriptor& operation =
        parts.emplace_back(CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR, "a pointwise operation",
                           CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, pointwise,
                           CUDNN_ATTR_OPERATION_POINTWISE_XDESC, *output,
                           CUDNN_ATTR_OPERATION_POINTWISE_YDESC, result);
    if (operand) operation.set(CUDNN_ATTR_OPERATION_POINTWISE_BDESC, *operand);
    operations.push_back(&operation.finalize());
    output = &result;
  };
  if (epilogue) {
    // In this order, and with all of one type, cuDNN has compiled engines for it; else it compiles
    // one at run time, if at all.
    if (problem.residual) then(CUDNN_POINTWISE_ADD, &like_y(kResidual, problem.type));
    then(CUDNN_POINTWISE_ADD, &tensor(kBias, problem.type, 1, s.out_channels, 1, 1));
    if (problem.relu) then(CUDNN_POINTWISE_RELU_FWD, nullptr);
  }

  Descriptor graph(CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR, "the operation graph",
                   CUDNN_ATTR_OPERATIONGRAPH_OPS, operations, CUDNN_ATTR_OPERATIONGRAPH_HANDLE,
                   handle);
  graph.finalize();
  return graph;
}

}  // namespace basin::cuda
