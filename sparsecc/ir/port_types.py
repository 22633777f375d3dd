"""Types that the inputs and outputs of a network may have."""

from __future__ import annotations

#: whole numbers, as NumPy and PyTorch call them
INTEGERS = ("uint8", "int8", "int16", "int32", "int64")
#: all of them
PORT_TYPES = ("float32", *INTEGERS, "bool")
#: the same for messages
EXPECTED = "torch.float32, uint8, int8, int16, int32, int64 or bool"


def stored(dtype: str) -> str:
    """Type of the elements that kernels see: a bool is a byte, 0 or 1."""
    return "uint8" if dtype == "bool" else dtype
