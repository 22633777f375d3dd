"""Cycles of the cost model in microseconds: by the clock, and by what kernels of this processor were measured to take.

The cost model is made to compare configs and patterns; how far its cycles are from real ones depends on the processor
and on N. Where there are records of the processor they tell: of all convolutions with one N, measured time over
predicted cycles.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from sparsecc.cost.channel_lanes import predict_lanes
from sparsecc.cost.decide import dense_block_sizes, work_of
from sparsecc.cost.direct import DirectWork, predict
from sparsecc.facts.layer_key import LayerKey
from sparsecc.kernels.channel_lanes import LaneConfig
from sparsecc.records.record import Record
from sparsecc.spaces.config import ConvConfig
from sparsecc.target import Target

#: fewer records of one N than this say nothing
_FEWEST = 8


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
    """

    ghz: float
    factors: Mapping[int, float] = field(default_factory=dict)
    source: str = ""

    def us(self, *, convolution: float, rest: float = 0.0, block_n: int = 0) -> float:
        """Microseconds of a convolution's cycles, and of others."""
        return (convolution * self.factor(block_n) + rest) / (1e3 * self.ghz)

    def factor(self, block_n: int) -> float:
        """Real cycles for each predicted one."""
        sparse = [n for n in self.factors if n]
        if block_n == 0 or not sparse:
            return self.factors.get(0, 1.0)
        return self.factors[min(sparse, key=lambda n: abs(n.bit_length() - block_n.bit_length()))]


def scale_of(records: Iterable[Record], target: Target, *, ghz: float, cpu: str | None, source: str) -> Scale:
    """The scale that records of this processor give: those of single convolutions on one thread."""
    measured: dict[int, list[tuple[float, float]]] = defaultdict(list)
    for record in records:
        if record.cpu == cpu and record.threads == 1 and record.layer.kind == "conv":
            cycles = _predicted(record, target)
            if cycles is not None:
                measured[record.layer.block_n].append((record.us * 1e3 * ghz, cycles))
    factors = {
        n: sum(real for real, _ in found) / sum(cycles for _, cycles in found)
        for n, found in sorted(measured.items())
        if len(found) >= _FEWEST
    }
    count = sum(len(measured[n]) for n in factors)
    return Scale(ghz, factors, f"{source}; {count} records of this processor" if count else source)


def _predicted(record: Record, target: Target) -> float | None:
    """Cycles that the cost model predicts for its own config of a record's layer."""
    config, key = record.default, record.layer
    if not isinstance(config, ConvConfig) or (key.block_n == 0 and config.block_n not in dense_block_sizes(key.spec)):
        return None
    work = _work(key, config.block_n)
    if isinstance(config.kernel, LaneConfig):
        return predict_lanes(key.spec, work, config.kernel, target)
    return predict(work, config.kernel, target)


def _work(key: LayerKey, block_n: int) -> DirectWork:
    spec, (read, written) = key.spec, key.pitch
    rows = spec.groups * -(-spec.oc_per_group // block_n)
    work = work_of(spec, rows=rows, block_n=block_n, nnzb=round(rows * spec.ic_per_group * key.density / 100))
    flat, plane = (spec.oh - 1) * read + spec.ow, (spec.oh + spec.kh - 1) * read
    return replace(work, flat=flat, plane=plane, residual="residual" in key.epilogue, staged=read != written)
