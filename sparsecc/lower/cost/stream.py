"""Cost model of what mostly moves memory: copies, means, norms, operators without a kernel, gaps to clear."""

from __future__ import annotations

from sparsecc.kernels.mean import MeanShape
from sparsecc.kernels.norm_shape import NormShape
from sparsecc.kernels.pad import PadShape
from sparsecc.kernels.repack import RepackShape
from sparsecc.lower.cost.direct import WRITTEN
from sparsecc.target import Target

#: cycles of a plane's loop, of a row's loop, of a vector that is copied, and of one whose pixels are dealt out to two
_COPIED_PLANE, _ROW, _VECTOR, _DEALT = 30.0, 8.0, 2.0, 4.0
#: cycles of a plane's loop, and of an addition, by whether a core starts instructions in order: there it waits for the
#: one before, elsewhere those of several planes overlap
_PLANE, _ADD = {True: 30.0, False: 8.0}, {True: 4.0, False: 1.0}
#: cycles of a vector of results of an operator without a kernel: address arithmetic, loads, a store
_GENERIC = 6.0
#: cycles of a norm: of a vector that is read three times and written once, and of joining the sums of a vector
_NORMED, _JOINED = 6.0, 60.0
#: cycles to clear a run of floats: a call of ``memset``
_CLEAR = 8.0


def repack_cycles(shape: RepackShape, target: Target, *, cached: bool = False) -> float:
    """Predicted cycles of a copy to another layout; ``cached`` where both sides are in the first cache."""
    source, layout = shape.source, shape.target
    vectors = -(-source.w // shape.lanes)
    rows = source.h * (_ROW + vectors * (_DEALT if layout.is_split else _VECTOR))
    copying = shape.planes * (_COPIED_PLANE + rows)
    if cached:
        return copying
    read, written = 4 * shape.planes * source.channel, 4 * shape.planes * layout.channel
    return max(copying, (read + WRITTEN * written) / target.bandwidth(read + written))


def mean_cycles(shape: MeanShape, target: Target) -> float:
    """Predicted cycles of a mean over each plane: one chain of additions."""
    source = shape.source
    lanes = min(target.lanes, source.w)
    chunks, rest = divmod(source.w, lanes)
    adding = shape.planes * (_PLANE[target.in_order] + (source.h * (chunks + rest) + lanes) * _ADD[target.in_order])
    read = 4 * shape.planes * source.channel
    return max(adding, read / target.bandwidth(read))


def norm_cycles(shape: NormShape, target: Target) -> float:
    """Predicted cycles of a norm by statistics of its input."""
    planes = shape.items * shape.planes
    computing = planes * shape.pixels / target.lanes * _NORMED
    if not shape.across:
        computing += shape.items * _JOINED
    read, written = 4 * shape.source.size(planes), 4 * shape.target.size(planes)
    return max(computing, (read + WRITTEN * written) / target.bandwidth(read + written))


def pad_cycles(shape: PadShape, target: Target) -> float:
    """Predicted cycles of padding with own pixels: rows in vectors, and what is left of them one by one."""
    (start, end), layout = shape.run, shape.target
    row = _ROW + -(-(end - start) // target.lanes) * _VECTOR + layout.w - (end - start)
    read, written = 4 * shape.source.size(shape.planes), 4 * layout.size(shape.planes)
    return max(shape.planes * layout.h * row, (read + WRITTEN * written) / target.bandwidth(read + written))


def generic_cycles(*, iterations: int, read: int, written: int, target: Target) -> float:
    """Predicted cycles of an operator without a kernel.

    Parameters
    ----------
    iterations : int
        Of the innermost loops, all together.
    read, written : int
        Bytes.
    target : Target
    """
    computing = iterations / target.lanes * _GENERIC
    return max(computing, (read + WRITTEN * written) / target.bandwidth(read + written))


def clear_cycles(*, runs: int, nbytes: int, target: Target) -> float:
    """Predicted cycles to clear the gaps around pixels: ``runs`` pieces of ``nbytes`` bytes in all."""
    return runs * _CLEAR + nbytes / target.bandwidth(target.l2_bytes)
