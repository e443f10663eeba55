// The geometry of a call as text.
#include "kernels/device/description.h"

namespace basin {

std::string geometry_text(const CallDescription& call) {
  using Geometry = CallDescription::Geometry;
  const auto& s = call.sizes;
  // `count` sizes from `begin` on with an x between them.
  auto sides = [&](size_t begin, size_t count) {
    std::string text;
    for (size_t i = begin; i < begin + count; ++i) {
      text += (i > begin ? "x" : "") + std::to_string(s[i]);
    }
    return text;
  };
  std::string text;
  switch (call.geometry) {
    case Geometry::kNone:
      break;
    case Geometry::kFlat:
      text = sides(0, 1);
      break;
    case Geometry::kRows:
      text = sides(0, 2);
      break;
    case Geometry::kImages:
      text = sides(0, 4);
      break;
    case Geometry::kProduct:
      text = sides(0, 3) + (s[3] ? " A^T" : "") + (s[4] ? " B^T" : "");
      break;
    case Geometry::kConvolution:
      text = sides(0, 4) + " " + sides(5, 2) + "/" + std::to_string(s[7]) + " -> " +
             std::to_string(s[4]);
      break;
  }
  if (call.scale) text += " +scale";
  if (call.residual) text += " +residual";
  if (call.relu) text += " +relu";
  if (call.accumulate) text += " +accumulate";
  return text;
}

}  // namespace basin
