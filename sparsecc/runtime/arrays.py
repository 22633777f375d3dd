"""NumPy arrays and torch tensors as memory that C can use. torch is used if the caller has imported it, never by us."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from sparsecc.errors import InputError
from sparsecc.runtime.ports import Port
from sparsecc.runtime.writable import is_writable


def is_tensor(value: object) -> bool:
    """Whether this is a torch tensor."""
    torch = sys.modules.get("torch")
    return isinstance(value, getattr(torch, "Tensor", ()))


def loses_gradient(value: object) -> bool:
    """Whether PyTorch would go on with this value's gradient, which a compiled network does not."""
    if not is_tensor(value):
        return False
    return bool(value.requires_grad and sys.modules["torch"].is_grad_enabled())  # type: ignore[attr-defined]


def as_input(value: object, port: Port, *, where: str) -> Any:
    """The value as a contiguous array or tensor of the port's shape and type; copied only if its memory is strided.

    Raises
    ------
    InputError
        Wrong shape, type or device.
    """
    if is_tensor(value):
        _check_tensor(value, port, where=where)
        return value.detach().resolve_neg().contiguous()  # type: ignore[attr-defined]
    array = _as_array(value, where=where)
    _check_array(array, port, where=where)
    return array if array.flags.c_contiguous and array.flags.aligned else np.require(array, requirements=["C", "A"])


def as_output(value: object, port: Port, *, where: str) -> Any:
    """The value itself, if a result can be written into its memory.

    Raises
    ------
    InputError
        Not an array or tensor, or wrong shape, type, device or layout, or memory that may not be written.
    """
    if is_tensor(value):
        _check_tensor(value, port, where=where)
        usable = value.is_contiguous() and not value.requires_grad and not value.is_neg()  # type: ignore[attr-defined]
        rule = "a contiguous tensor that does not require a gradient"
    elif isinstance(value, np.ndarray):
        _check_array(value, port, where=where)
        usable = value.flags.c_contiguous and value.flags.aligned and value.flags.writeable
        rule = "a contiguous, aligned, writeable array"
    else:
        raise InputError(f"{where}: found {type(value).__name__}, expected a NumPy array or torch tensor to write into")
    if not usable:
        raise InputError(f"{where}: the result can't be written into its memory; expected {rule}")
    if not _owns_memory(value) and not is_writable(*extent(value)):
        found = "its memory is read-only, as of a file that was mapped for reading"
        raise InputError(f"{where}: {found}; expected memory that may be written, such as a copy of it")
    return value


def new_output(port: Port, *, tensor: bool) -> Any:
    """Fresh memory for a result."""
    if tensor:
        torch = sys.modules["torch"]
        return torch.empty(port.shape, dtype=getattr(torch, port.dtype))
    return np.empty(port.shape, dtype=port.dtype)


def address(value: Any) -> int:
    """Where the value's elements start."""
    return int(value.ctypes.data if isinstance(value, np.ndarray) else value.data_ptr())


def extent(value: Any) -> tuple[int, int]:
    """First address of a contiguous value's elements, and the first one behind them."""
    start = address(value)
    return start, start + int(value.nbytes)


def _owns_memory(value: Any) -> bool:
    """Whether NumPy or torch allocated the memory itself: then it may be written."""
    if isinstance(value, np.ndarray):
        return bool(value.flags.owndata)
    return bool(value.untyped_storage().resizable())


def _as_array(value: object, *, where: str) -> np.ndarray[Any, Any]:
    expected = "expected a NumPy array, a torch tensor or a DLPack object"
    try:
        if hasattr(value, "__dlpack__") and not hasattr(value, "__array__"):
            return np.from_dlpack(value)
        array = np.asarray(value)
    except (TypeError, ValueError, RuntimeError, BufferError) as error:
        found = f"found {type(value).__name__}, which NumPy can't read ({error})"
        raise InputError(f"{where}: {found}; {expected}") from error
    if array.dtype == object:
        raise InputError(f"{where}: found {type(value).__name__}, {expected}")
    return array


def _check_array(array: np.ndarray[Any, Any], port: Port, *, where: str) -> None:
    if array.shape != port.shape or array.dtype != port.dtype:  # the names of types are slow to make: only for messages
        _check(array.shape, str(array.dtype), port, where=where)


def _check_tensor(value: Any, port: Port, *, where: str) -> None:
    if value.device.type != "cpu":
        raise InputError(f"{where}: found a tensor on device {value.device}, expected device cpu; use .cpu() first")
    if value.is_nested:
        raise InputError(f"{where}: found a nested tensor, expected a dense one; use .to_padded_tensor() first")
    if str(value.layout) != "torch.strided":
        raise InputError(f"{where}: found layout {value.layout}, expected a dense tensor; use .to_dense() first")
    _check(tuple(value.shape), str(value.dtype).removeprefix("torch."), port, where=where)
    if not _has_memory(value):
        found = f"found a {type(value).__name__} without memory, as while a model is traced"
        raise InputError(f"{where}: {found}; expected a tensor with values")


def _has_memory(value: Any) -> bool:
    try:
        return bool(value.data_ptr())
    except RuntimeError:  # inside torch.vmap and its kin
        return False


def _check(shape: tuple[int, ...], dtype: str, port: Port, *, where: str) -> None:
    if shape != port.shape:
        advice = "change the array or compile the network for this shape"
        raise InputError(f"{where}: found shape {shape}, expected {port.shape}; {advice}")
    if dtype != port.dtype:
        raise InputError(f"{where}: found dtype {dtype}, expected {port.dtype}; convert it first")
