#!/usr/bin/env python3
"""Writes from_pytorch.safetensors, which tests/engine/safetensors.cpp reads.

Needs the packages torch and safetensors. Run in this folder; the values are in the test.
"""
import torch
from safetensors.torch import save_file

save_file(
    {
        "layer1.0.conv1.weight": torch.arange(8, dtype=torch.float32).reshape(2, 2, 2, 1) / 4 - 1,
        "double": torch.tensor([0.1, -1e300], dtype=torch.float64),
        "half": torch.tensor([1.5, -65504.0, 2.0**-24, float("inf")], dtype=torch.float16),
        "bfloat": torch.tensor([1.0, -3.140625, 2.0**100], dtype=torch.bfloat16),
        "bn1.num_batches_tracked": torch.tensor(12345678901, dtype=torch.int64),
        "flags": torch.tensor([True, False, True]),
        "empty": torch.zeros(0, 3, dtype=torch.uint8),
    },
    "from_pytorch.safetensors",
    metadata={"format": "pt", "note": "h\u00e9 \"quoted\""},
)
