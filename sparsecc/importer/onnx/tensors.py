"""Weights of an ONNX file, those beside it too: as they are, without another copy."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import Tensor

from sparsecc.errors import ModelError, NotSupportedError, first_line
from sparsecc.importer.onnx.elementwise import TYPES
from sparsecc.text import printable
from sparsecc.untrusted import shown
from sparsecc.untrusted.files import open_file


def to_tensor(proto: onnx.TensorProto, *, what: str, folder: Path | None = None) -> Tensor:
    """A tensor; one that lies in a file of its own is mapped into memory, not read.

    Parameters
    ----------
    proto : onnx.TensorProto
    what : str
        How a message begins.
    folder : Path, optional
        Where files beside the model are.

    Raises
    ------
    ModelError
        It is damaged, or the file with its data is missing, too short, or elsewhere.
    NotSupportedError
        A type that PyTorch does not have.
    """
    if proto.data_type not in TYPES:
        known = proto.data_type in onnx.TensorProto.DataType.values()
        name = onnx.TensorProto.DataType.Name(proto.data_type) if known else proto.data_type
        raise NotSupportedError(f"{what}: type {name} is not supported, expected float, bool or integers")
    if proto.data_location == onnx.TensorProto.EXTERNAL:
        return _torch(_mapped(proto, what=what, folder=folder))
    try:
        return _torch(numpy_helper.to_array(proto))
    except (ValueError, TypeError, OverflowError, MemoryError) as error:
        raise ModelError(
            f"{what}: its data does not fit its shape ({first_line(error)}); the file is damaged"
        ) from error


def _torch(array: Any) -> Tensor:
    if array.dtype.name == "bfloat16":
        return torch.from_numpy(array.astype(np.float32)).to(torch.bfloat16)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # nobody writes to it, as the warning fears
        return torch.from_numpy(np.asarray(array))


def _mapped(proto: onnx.TensorProto, *, what: str, folder: Path | None) -> Any:
    entries = {entry.key: entry.value for entry in proto.external_data}
    path = _path(entries.get("location", ""), what=what, folder=folder)
    dtype = np.dtype(onnx.helper.tensor_dtype_to_np_dtype(proto.data_type))
    size = math.prod(proto.dims) * dtype.itemsize
    try:
        offset, length = int(entries.get("offset") or 0), int(entries.get("length") or size)
        with open_file(path, most_bytes=1 << 62):
            there = path.stat().st_size
    except OSError as error:
        raise ModelError(
            f"{what}: its data can't be read: {path}: {error.strerror or error}; copy the files beside the model, too"
        ) from error
    except ValueError as error:
        raise ModelError(f"{what}: offset or length is no number ({first_line(error)}); the file is damaged") from error
    if length != size or min(offset, length, *proto.dims) < 0 or offset + size > there:
        raise ModelError(
            f"{what}: found {length} bytes at {offset} of {path} with {there} bytes, expected {size} for shape "
            f"{tuple(proto.dims)}; copy both files again"
        )
    if not size:
        return np.zeros(tuple(proto.dims), dtype)
    raw = np.memmap(path, np.uint8, "c", offset, (size,))
    return np.asarray(raw).view(dtype).reshape(tuple(proto.dims))


def _path(location: str, *, what: str, folder: Path | None) -> Path:
    """Where external data lies: in the model's folder or below it, whatever links say."""
    pure = PurePosixPath(location)
    where = None if folder is None else folder / pure
    is_within = where is not None and folder is not None and where.resolve().is_relative_to(folder.resolve())
    if where is None or not location or "\0" in location or pure.is_absolute() or ".." in pure.parts or not is_within:
        raise ModelError(
            f"{what}: its data is said to be in {shown(location)}, expected a file in the model's folder; "
            "save the model again with its data beside it"
        )
    return where


def initializers(tensors: Iterable[onnx.TensorProto], folder: Path) -> dict[str, Tensor]:
    """Weights by their names."""
    return {proto.name: to_tensor(proto, what=f"weight {printable(proto.name)}", folder=folder) for proto in tensors}
