"""Cycles of the cost model in microseconds: by the clock, and by what kernels of this processor were measured to take.

The cost model is made to compare configs and patterns; how far its cycles are from real ones depends on the processor
and on N. Where there are records of the processor they tell: of all convolutions with one N, measured time over
predicted cycles; and of all window kernels that are joined with one, in the median, what is left of the time over
theirs.

A layer's own record is not asked: records are made at different times, and a machine that drifts makes one layer look
slow and the next one fast. Corrected layer by layer, predicted gains were ranked less well (MobileNet-V1, 1x16 75 %:
0.72 instead of 0.93).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import median
from typing import NamedTuple

from sparsecc.analyse.structure import Structure
from sparsecc.ir.conv import ConvSpec
from sparsecc.ir.epilogue import Epilogue
from sparsecc.ir.layer_key import LayerKey
from sparsecc.ir.layout import PlaneLayout, dealt, padded
from sparsecc.kernels.store import StoreShape
from sparsecc.kernels.window_combine import SUM
from sparsecc.kernels.window_shape import WindowShape
from sparsecc.lower.config import ConvConfig, JoinedConfig
from sparsecc.lower.cost.chain import chain_cycles
from sparsecc.lower.cost.decide import dense_block_sizes, work_of
from sparsecc.lower.cost.direct import DirectWork
from sparsecc.lower.cost.window import arithmetic_cycles
from sparsecc.lower.direct import predict_config
from sparsecc.target import Target
from sparsecc.target.records.lookup import shipped
from sparsecc.target.records.record import Record

#: fewer records of one N than this say nothing
_FEWEST = 8
#: least factor that is believed
_LEAST = 0.5


@dataclass(frozen=True)
class Scale:
    """How long a predicted cycle takes.

    Attributes
    ----------
    ghz : float
        Clock.
    factors : mapping of int to float
        N (0 for dense) -> real cycles for each predicted one of a convolution; the nearest N's for others, 1 without
        any.
    source : str
        Where these are from.
    windows : float
        Real cycles for each predicted one of a depthwise convolution or pooling.
    """

    ghz: float
    factors: Mapping[int, float] = field(default_factory=dict)
    source: str = ""
    windows: float = 1.0

    def us(self, *, convolution: float, rest: float = 0.0, windows: float = 0.0, block_n: int = 0) -> float:
        """Microseconds of a convolution's cycles, of a window kernel's, and of others."""
        return (convolution * self.factor(block_n) + windows * self.windows + rest) / (1e3 * self.ghz)

    def factor(self, block_n: int) -> float:
        """Real cycles for each predicted one."""
        sparse = [n for n in self.factors if n]
        if block_n == 0 or not sparse:
            return self.factors.get(0, 1.0)
        return self.factors[min(sparse, key=lambda n: abs(n.bit_length() - block_n.bit_length()))]


def shipped_scale(target: Target, *, cpu: str | None = None) -> Scale:
    """The scale of the records that come with sparsecc for a target, by its usual clock.

    Those of one processor, ``cpu``, where it is known what is compiled for; else of whichever there are.
    """
    records = [record for record in shipped(target).best if cpu in (None, record.cpu)]
    return _scale_of(records, target, Scale(target.ghz))


def slower_than_predicted(scale: Scale, spec: ConvSpec, structure: Structure) -> float:
    """Measured over predicted time of a sparse convolution, relative to that of the dense one.

    1 where nothing was measured: without records of both, for linear layers, for blocks of one tap.
    """
    if spec.is_linear or structure.by_tap or 0 not in scale.factors or len(scale.factors) < 2:
        return 1.0
    return scale.factor(structure.block_n) / scale.factor(0)


def scale_of(records: Sequence[Record], target: Target, *, ghz: float, cpu: str | None, source: str) -> Scale:
    """The scale that records of this processor give."""
    mine = [record for record in records if record.cpu == cpu]
    scale = _scale_of(mine, target, Scale(ghz, source=source))
    count = sum(r.layer.kind == "conv" and r.threads == 1 and r.layer.block_n in scale.factors for r in mine)
    return replace(scale, source=f"{source}; {count} records of this processor") if count else scale


def _scale_of(records: Sequence[Record], target: Target, clock: Scale) -> Scale:
    mine, ghz = [record for record in records if record.threads == 1], clock.ghz
    single = [found for record in mine if record.layer.kind == "conv" for found in _single(record, target)]
    by_n: dict[int, list[_Known]] = defaultdict(list)
    for known in single:
        by_n[known.n].append(known)
    enough = {n: found for n, found in sorted(by_n.items()) if len(found) >= _FEWEST}
    factors = {n: sum(f.ns for f in found) * ghz / sum(f.convolution for f in found) for n, found in enough.items()}
    scale = replace(clock, factors=factors)
    chains = [found for record in mine for found in _chain(record, target)]
    if factors and len(chains) >= _FEWEST:
        # the median: what the convolution of a large layer is predicted wrong by is many times its window kernel's time
        left = [(k.ns * ghz - scale.factor(k.n) * k.convolution) / k.windows for k in chains if k.windows]
        scale = replace(scale, windows=max(median(left), _LEAST)) if left else scale
    return scale


class _Known(NamedTuple):
    """A measured layer: N, nanoseconds, and the predicted cycles of its convolution and of its window kernel."""

    n: int
    ns: float
    convolution: float
    windows: float = 0.0


def _single(record: Record, target: Target) -> Iterator[_Known]:
    cycles = _predicted(record, target)
    if cycles is not None:
        yield _Known(record.layer.block_n, record.us * 1e3, cycles)


def _predicted(record: Record, target: Target) -> float | None:
    """Cycles that the cost model predicts for its own config of a record's layer."""
    config, key = record.default, record.layer
    if not isinstance(config, ConvConfig) or (key.block_n == 0 and config.block_n not in dense_block_sizes(key.spec)):
        return None
    return predict_config(key.spec, _work(key, config.block_n), config, target)


def _chain(record: Record, target: Target) -> Iterator[_Known]:
    config, key, window = record.default, record.layer, record.layer.window
    if not isinstance(config, JoinedConfig) or window is None:
        return
    work = replace(_work(key, config.block_n), joined=True)
    layout = dealt if window.stride == (2, 2) else padded
    planes = layout(window.ih, window.iw, halo=window.padding, pitch=key.pitch[0])
    results = PlaneLayout(h=window.oh, w=window.ow, pitch=key.pitch[1], plane=window.oh * key.pitch[1])
    store = StoreShape(1, window.oc, results, Epilogue())
    convolution = chain_cycles(work, config.chain.conv, results=4.0 * window.oc * store.flat, target=target)
    # how values are combined makes no difference to the cycles
    windows = arithmetic_cycles(WindowShape(window, planes, store, SUM), config.chain.window, target)
    yield _Known(key.block_n, record.us * 1e3, convolution, windows)


def _work(key: LayerKey, block_n: int) -> DirectWork:
    spec, (read, written) = key.spec, key.pitch
    rows = spec.groups * -(-spec.oc_per_group // block_n)
    work = work_of(spec, rows=rows, block_n=block_n, nnzb=round(rows * spec.ic_per_group * key.density / 100))
    flat, plane = (spec.oh - 1) * read + spec.ow, (spec.oh + spec.kh - 1) * read
    return replace(work, flat=flat, plane=plane, residual=key.adds_residual, staged=read != written)
