"""Calibration from a file of images."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from sparsecc.errors import InputError, first_line
from sparsecc.importer.export import to_exported
from sparsecc.pytorch.quantized.flow import quantize
from sparsecc.pytorch.quantized.report import Quantized
from sparsecc.untrusted.files import available_bytes, open_file

_EXPECTED = "expected a .npz file with one float32 array (count, ...) for each input, in order, as numpy.savez writes"


def quantize_file(model: Path, images: Path, *, keep_float: Sequence[str] = ()) -> Quantized:
    """Quantize an exported model, calibrated with the images of a ``.npz`` file; see :func:`sparsecc.quantize`.

    Raises
    ------
    InputError
        The file can't be read, or its arrays are no images for this model.
    """
    program, example, _ = to_exported(model, None)
    arrays = _read(images)
    shapes = [tuple(x.shape) for x in example]
    if len(arrays) != len(shapes):
        raise InputError(f"{images}: found {len(arrays)} arrays, {_EXPECTED}; the model has {len(shapes)} inputs")
    for array, shape in zip(arrays, shapes, strict=True):
        if array.dtype != np.float32 or array.shape[1:] != shape[1:] or len(array) < shape[0]:
            raise InputError(
                f"{images}: found {array.dtype} {array.shape}, expected float32 of at least {shape} for this model; "
                "prepare images as for the model, and write them with numpy.savez"
            )
    count = min(len(array) // shape[0] for array, shape in zip(arrays, shapes, strict=True))
    batches = [
        tuple(torch.from_numpy(a[i * s[0] : (i + 1) * s[0]]) for a, s in zip(arrays, shapes, strict=True))
        for i in range(count)
    ]
    return quantize(program, batches, keep_float=keep_float)


def _read(path: Path) -> list[NDArray[Any]]:
    try:
        with open_file(path, most_bytes=available_bytes()) as file:
            archive = np.load(file, allow_pickle=False)
            if isinstance(archive, np.ndarray):
                raise InputError(f"{path}: found a single array, {_EXPECTED}")
            return [archive[name] for name in archive.files]
    except OSError as error:
        raise InputError(f"{path}: can't be read: {error.strerror or error}; {_EXPECTED}") from error
    except (ValueError, EOFError, zipfile.BadZipFile) as error:
        raise InputError(f"{path}: not an archive of arrays ({first_line(error)}); {_EXPECTED}") from error
