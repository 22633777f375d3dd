"""Norms by statistics of the input: layer, group, instance and RMS norm.

Numbers are read three times: for the mean, for the distances from it, for the result. The first two sums are corrected
by the third, that of the distances, which would be 0 if the mean were exact.
"""

from __future__ import annotations

from typing import Any

from sparsecc._tvm import PrimFunc
from sparsecc.kernels.function import floats, kernel
from sparsecc.kernels.norm_columns import columns
from sparsecc.kernels.norm_parts import has_parts, parts
from sparsecc.kernels.norm_rows import rows
from sparsecc.kernels.norm_shape import NormShape

#: below this many numbers a second thread costs more than it helps
_PARALLEL = 16384


def norm(shape: NormShape, *, lanes: int) -> PrimFunc:
    """Build the kernel: ``input``, ``weight`` and ``bias`` to ``output``.

    Its loops are those of one of three forms: across planes every pixel by itself (:func:`columns`), else all numbers
    that have one mean (:func:`rows`), which few and long ones share among threads in parts (:func:`parts`).
    """
    planes = shape.items * shape.planes
    parallel = planes * shape.pixels >= _PARALLEL

    def body(buffers: dict[str, Any]) -> None:
        given = tuple(buffers[name] for name in ("input", "weight", "bias", "output"))
        if has_parts(shape):
            parts(shape, *given, lanes=lanes)
            return
        (columns if shape.across else rows)(shape, *given, lanes=lanes, parallel=parallel)

    weights = floats(shape.groups * shape.planes)
    source, target = floats(shape.source.size(planes)), floats(shape.target.size(planes))
    return kernel([("input", source), ("weight", weights), ("bias", weights), ("output", target)], body)
