"""Names of the files that a cell's folder holds for its participants."""

from __future__ import annotations

MODULE = "module.pt"  # the pruned torch.nn.Module itself, pickled
ONNX = "model.onnx"  # the same network, exported
INPUT = "input.npy"  # float32 (1, 3, size, size)
EXPECTED = "expected.npz"  # PyTorch's outputs, in order
