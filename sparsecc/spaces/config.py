"""Configs as plain data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, TypeVar

from sparsecc.kernels.chain import ChainConfig
from sparsecc.kernels.channel_lanes import LaneConfig
from sparsecc.kernels.direct_shape import DirectConfig
from sparsecc.kernels.linear import LinearConfig
from sparsecc.kernels.window_shape import WindowConfig


@dataclass(frozen=True)
class ConvConfig:
    """A convolution's kernel and its knobs.

    Attributes
    ----------
    block_n : int
        Output channels of a row of blocks: those of the pattern, or where every block is kept any number.
    kernel : DirectConfig or LaneConfig
        Pixels or channels as the vector.
    """

    block_n: int
    kernel: DirectConfig | LaneConfig


@dataclass(frozen=True)
class JoinedConfig:
    """A convolution and the window kernel that follows it."""

    block_n: int
    chain: ChainConfig


@dataclass(frozen=True)
class JoinConfig:
    """Whether a convolution and the window kernel after it are one kernel."""

    joined: bool


@dataclass(frozen=True)
class TraceConfig:
    """An operator without a kernel of its own: MetaSchedule's trace as JSON, empty for our own recipe."""

    trace: str


_Knobs = TypeVar("_Knobs", DirectConfig, LaneConfig, LinearConfig, WindowConfig)
Config = ConvConfig | JoinedConfig | WindowConfig | LinearConfig | TraceConfig | JoinConfig


def to_json(config: Config) -> dict[str, Any]:
    """Return JSON-ready data that :func:`from_json` reads."""
    if isinstance(config, ConvConfig):
        name = "direct" if isinstance(config.kernel, DirectConfig) else "channel_lanes"
        return {"kernel": name, "block_n": config.block_n, **asdict(config.kernel)}
    if isinstance(config, JoinedConfig):
        return {"kernel": "chain", "block_n": config.block_n, **asdict(config.chain)}
    if isinstance(config, TraceConfig):
        return {"kernel": "generic", "trace": config.trace}
    if isinstance(config, JoinConfig):
        return {"kernel": "join", "joined": config.joined}
    return {"kernel": "window" if isinstance(config, WindowConfig) else "linear", **asdict(config)}


def from_json(data: Mapping[str, Any]) -> Config:
    """Rebuild what :func:`to_json` returned; knobs that it lacks have their defaults.

    Raises
    ------
    KeyError, TypeError, ValueError
        The kernel or a knob is unknown, missing, or not a number.
    """
    knobs = {name: value for name, value in data.items() if name not in ("kernel", "block_n")}
    kernel = data["kernel"]
    if kernel == "direct":
        return ConvConfig(_count(data["block_n"]), _made(DirectConfig, knobs))
    if kernel == "channel_lanes":
        return ConvConfig(_count(data["block_n"]), _made(LaneConfig, knobs))
    if kernel == "chain":
        conv, window = _made(DirectConfig, knobs["conv"]), _made(WindowConfig, knobs["window"])
        return JoinedConfig(_count(data["block_n"]), ChainConfig(conv, window, _count(knobs.get("parts", 1))))
    if kernel == "window":
        return _made(WindowConfig, knobs)
    if kernel == "linear":
        return _made(LinearConfig, knobs)
    if kernel == "generic":
        return TraceConfig(_text(knobs["trace"]))
    if kernel == "join":
        return JoinConfig(_truth(knobs["joined"]))
    known = "direct, channel_lanes, chain, window, linear, generic or join"
    raise ValueError(f"kernel: found {kernel!r}, expected {known}")


def _made(cls: type[_Knobs], knobs: Mapping[str, Any]) -> _Knobs:
    known = {field.name for field in fields(cls)}
    unknown = sorted(set(knobs) - known)
    if unknown:
        raise ValueError(f"{cls.__name__}: found unknown knobs {', '.join(unknown)}")
    made: dict[str, Any] = {name: value if isinstance(value, bool) else _count(value) for name, value in knobs.items()}
    return cls(**made)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"found {value!r}, expected a text")
    return value


def _truth(value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError(f"found {value!r}, expected true or false")
    return value


def _count(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise TypeError(f"found {value!r}, expected a number of things")
    return value
