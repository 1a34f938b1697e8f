#pragma once

// Between tensors and the structs of backend.h.

#include "backend.h"

#include <torch/torch.h>

namespace fused_ssim::detail {

inline Element element_of(const torch::Tensor& tensor) {
  switch (tensor.scalar_type()) {
    case torch::kFloat32:
      return Element::kFloat32;
    case torch::kFloat64:
      return Element::kFloat64;
    case torch::kFloat16:
      return Element::kFloat16;
    case torch::kBFloat16:
      return Element::kBFloat16;
    case torch::kUInt8:
      return Element::kUInt8;
    case torch::kBool:
      return Element::kBool;
    default:
      TORCH_INTERNAL_ASSERT(false, "unchecked type ", tensor.scalar_type());
  }
}

/// `tensor` as [N, C, H, W]; a missing batch dimension counts as one image.
template <typename ViewType, typename Data>
ViewType view_of(const torch::Tensor& tensor, Data* data) {
  ViewType view;
  view.data = data;
  view.element = element_of(tensor);
  const auto missing = 4 - tensor.dim();
  for (std::int64_t i = 0; i < tensor.dim(); ++i) {
    view.stride[missing + i] = tensor.stride(i);
  }
  return view;
}

inline View read(const torch::Tensor& tensor) {
  return view_of<View>(tensor, tensor.const_data_ptr());
}

inline MutableView write(const torch::Tensor& tensor) {
  return view_of<MutableView>(tensor, tensor.mutable_data_ptr());
}

/// Scalars have the compute type: float32 for half types.
inline torch::TensorOptions scalar_options(const torch::Tensor& input) {
  const bool wide = input.scalar_type() == torch::kFloat64;
  return input.options().dtype(wide ? torch::kFloat64 : torch::kFloat32);
}

} // namespace fused_ssim::detail
