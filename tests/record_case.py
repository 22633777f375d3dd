"""A record of a measurement, and the choice of a layer that may use it."""

from __future__ import annotations

from sparsecc.ir.conv import ConvSpec
from sparsecc.ir.layer_key import LayerKey
from sparsecc.ir.provenance import BY_MODEL
from sparsecc.kernels.chain import ChainConfig
from sparsecc.kernels.channel_lanes import LaneConfig
from sparsecc.kernels.direct_shape import DirectConfig
from sparsecc.kernels.linear import LinearConfig
from sparsecc.kernels.window_shape import WindowConfig
from sparsecc.lower.choice import Choice, Chosen
from sparsecc.lower.config import ConvConfig, JoinedConfig
from sparsecc.target.records.record import Record

SPEC = ConvSpec(n=1, ic=64, ih=14, iw=14, oc=128)
KEY = LayerKey("conv", SPEC, 16, 25, "uniform", False, "bias+relu", (14, 14))
DIRECT = ConvConfig(16, DirectConfig(8, 3, 4, rows_outer=True, unroll_taps=True))
OTHER = ConvConfig(16, DirectConfig(8, 2, 4, rows_outer=False, unroll_taps=True, prefetch=512))
CONFIGS = [
    DIRECT,
    ConvConfig(8, LaneConfig(8, rows=1, cols=7, prefetch=256)),
    JoinedConfig(4, ChainConfig(DIRECT.kernel, WindowConfig(8, 1, 4), parts=2)),  # type: ignore[arg-type]
    WindowConfig(8, 1, 0),
    LinearConfig(8, 3),
]
RECORD = Record(
    layer=KEY, target="x86-64-v3", isa=("avx2", "fma"), threads=1, config=DIRECT, us=90.0, spread=0.02,
    default=OTHER, default_us=100.0, rounds=7, trial=3, cpu="AuthenticAMD-25-1", date="2026-11-21T10:00:00+00:00",
    versions={"sparsecc": "0.1.0"},
)  # fmt: skip


def choice(key: LayerKey = KEY, *, predicted: dict[ConvConfig, float] | None = None) -> Choice:
    """A layer whose legal configs are the keys of ``predicted``; the first is the cost model's."""
    known = predicted or {OTHER: 100.0, DIRECT: 110.0}
    return Choice(key, next(iter(known)), lambda: tuple(known), lambda config: known[config])  # type: ignore[index]


def by_model(chosen: Chosen) -> bool:
    """Whether nothing but the cost model chose its own config, OTHER."""
    return (chosen.config, chosen.why) == (OTHER, BY_MODEL)
