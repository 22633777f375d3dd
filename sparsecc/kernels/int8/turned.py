"""Sums whose vectors are channels, as rows of codes: rounded and packed first, so that bytes are turned and not sums.

Four vectors of 16 channels, of a pixel each, are packed to 64 bytes; lane ``l`` of 128 bits has channels ``4 l`` to
``4 l + 3`` of each pixel in turns. Four such become four vectors whose lane ``l`` has 16 pixels of channel ``4 l + k``.
"""

from __future__ import annotations

from typing import Any

from sparsecc.kernels.int8.instructions import Instructions, kept, ramp, shuffled
from sparsecc.kernels.int8.requantize import (
    bytes_at,
    packed_codes,
    residual_of,
    residual_place,
    store_bytes,
    value_from,
)
from sparsecc.kernels.int8.shape import QuantShape
from sparsecc.kernels.int8.stage import TURNED, in_lanes, unpacked

#: channels of a vector, and pixels that are turned at a time
_SIDE = 16


def turns_codes(shape: QuantShape) -> bool:
    """Whether results can be stored so: codes, of vectors of 512 bits."""
    by: Instructions = shape.instructions
    return by.lanes == _SIDE and shape.result.to is not None


def store_turned(
    shape: QuantShape, buffers: dict[str, Any], sums: list[Any], *, slot: Any, planes: list[Any], pixel: Any,
    stored: int,
) -> None:  # fmt: skip
    """Store up to 16 pixels, side by side from ``pixel`` on, of 16 channels.

    Parameters
    ----------
    sums : list of expression
        int32 vectors of channels, of a pixel each.
    slot : expression
        Place of the first channel among those of all rows.
    planes : list of expression
        Output plane of each channel.
    pixel : expression
    stored : int
        Pixels that are stored; those beyond ``sums`` have any codes.
    """
    result = shape.result
    factors, biases = (kept(buffers[name][ramp(slot, _SIDE)]) for name in ("factors", "biases"))
    added = _residuals(shape, buffers, planes, pixel, len(sums))
    groups = []
    for start in range(0, len(sums), 4):
        values = []
        for p in range(start, min(start + 4, len(sums))):
            value = value_from(result, sums[p], factors, biases, None if added is None else added[p], _SIDE)
            values.append(kept(value))
        values += values[-1:] * (4 - len(values))
        groups.append(kept(shuffled([kept(packed_codes(shape, values))], in_lanes(TURNED))))
    rows = _across(groups + groups[-1:] * (4 - len(groups)))
    for k, row in enumerate(rows):
        for lane in range(4):
            place = result.layout.first(planes[4 * lane + k]) + result.layout.lead + pixel
            pixels = kept(shuffled([row], range(_SIDE * lane, _SIDE * lane + _SIDE)))
            store_bytes(buffers["output"], pixels, place, stored)


def _across(groups: list[Any]) -> list[Any]:
    """A 4x4 matrix of runs of 4 bytes in each lane, turned."""
    low, high = (
        [kept(unpacked(groups[a], groups[a + 1], 4, half)) for a in (0, 2)] for half in (0, 1)
    )  # fmt: skip
    return [kept(unpacked(first, second, 8, half)) for first, second in (low, high) for half in (0, 1)]


def _residuals(
    shape: QuantShape, buffers: dict[str, Any], planes: list[Any], pixel: Any, count: int
) -> list[Any] | None:
    """What is added to each pixel, vectors of channels; the same steps the other way round."""
    result = shape.result
    if result.residual is None:
        return None
    rows = []
    for k in range(4):
        lanes = [
            kept(bytes_at(shape, buffers["residual"], residual_place(shape, planes[4 * lane + k], pixel), _SIDE, count))
            for lane in range(4)
        ]
        rows.append(kept(shuffled(lanes, range(64))))
    groups = [kept(shuffled([group], in_lanes(TURNED))) for group in _across(rows)]
    found = []
    for p in range(count):
        order = [16 * lane + 4 * (p % 4) + i for lane in range(4) for i in range(4)]
        found.append(residual_of(result, shuffled([groups[p // 4]], order), _SIDE))
    return found
