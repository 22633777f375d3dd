"""Configs that are made of others', and those of choices that are no kernel's."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, ClassVar, TypeVar

from sparsecc.kernels.chain import ChainConfig
from sparsecc.kernels.channel_lanes import LaneConfig
from sparsecc.kernels.config import Config, count, text, truth
from sparsecc.kernels.direct_shape import DirectConfig
from sparsecc.kernels.window_shape import WindowConfig

Value = TypeVar("Value")


@dataclass(frozen=True)
class ConvConfig(Config):
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

    @property
    def direct(self) -> DirectConfig | None:
        """Knobs of the kernel with pixels as the vector, if it is that one."""
        return self.by_kernel(lambda direct: direct, lambda lanes: None)

    def by_kernel(self, direct: Callable[[DirectConfig], Value], lanes: Callable[[LaneConfig], Value]) -> Value:
        """What one of two functions makes of the kernel's knobs."""
        return direct(self.kernel) if isinstance(self.kernel, DirectConfig) else lanes(self.kernel)

    @property
    def name(self) -> str:
        """That of the kernel."""
        return self.kernel.name

    @property
    def packing(self) -> Hashable:
        """See :class:`Config`: shared weights of a block lie side by side, however many are in registers."""
        return self.by_kernel(partial(_direct_packing, self.block_n), lambda lanes: self.block_n)

    def knobs(self) -> dict[str, Any]:
        """See :class:`Config`."""
        return {"block_n": self.block_n, **self.kernel.knobs()}

    @classmethod
    def of(cls, kernel: type[DirectConfig] | type[LaneConfig], knobs: Mapping[str, Any]) -> ConvConfig:
        """Rebuild what :meth:`knobs` returned; errors are those of :meth:`Config.read`."""
        return cls(count(knobs["block_n"]), kernel.read({n: v for n, v in knobs.items() if n != "block_n"}))


def _direct_packing(block_n: int, kernel: DirectConfig) -> Hashable:
    """Runs of channels lie one after another; what reads copies of runs, or loads ahead, has other indices."""
    if kernel.packed and kernel.chunks > 1:
        return block_n, kernel.chunks, "copied"
    if kernel.ahead:
        return block_n, kernel.chunks, "ahead"
    return block_n if kernel.chunks == 1 else (block_n, kernel.chunks)


@dataclass(frozen=True)
class JoinedConfig(Config):
    """A convolution and the window kernel that follows it."""

    block_n: int
    chain: ChainConfig

    name: ClassVar = "chain"

    @property
    def packing(self) -> Hashable:
        """See :class:`Config`: that of the convolution."""
        return _direct_packing(self.block_n, self.chain.conv)

    def knobs(self) -> dict[str, Any]:
        """See :class:`Config`."""
        return {"block_n": self.block_n, **asdict(self.chain)}

    @classmethod
    def read(cls, knobs: Mapping[str, Any]) -> JoinedConfig:
        """See :class:`Config`."""
        conv, window = DirectConfig.read(knobs["conv"]), WindowConfig.read(knobs["window"])
        return cls(count(knobs["block_n"]), ChainConfig(conv, window, count(knobs.get("parts", 1))))


@dataclass(frozen=True)
class JoinConfig(Config):
    """Whether a convolution and the window kernel after it are one kernel."""

    joined: bool

    name: ClassVar = "join"

    @classmethod
    def read(cls, knobs: Mapping[str, Any]) -> JoinConfig:
        """See :class:`Config`."""
        return cls(truth(knobs["joined"]))


@dataclass(frozen=True)
class AlgorithmConfig(Config):
    """What computes a 3x3 convolution of stride 1.

    Attributes
    ----------
    tile : int
        Side of the output tiles of Winograd's algorithm; 0 for the direct kernel.
    sparse : bool
        Whether pruned blocks are skipped.
    """

    tile: int
    sparse: bool

    name: ClassVar = "algorithm"

    @property
    def label(self) -> str:
        """See :class:`Config`."""
        algorithm = f"{self.tile}x{self.tile}" if self.tile else "direct"
        return f"{algorithm} {'sparse' if self.sparse else 'dense'}"

    @classmethod
    def read(cls, knobs: Mapping[str, Any]) -> AlgorithmConfig:
        """See :class:`Config`."""
        unknown = sorted(set(knobs) - {"tile", "sparse"})
        if unknown:
            raise ValueError(f"{cls.__name__}: found unknown knobs {', '.join(unknown)}")
        return cls(count(knobs["tile"]), truth(knobs["sparse"]))


@dataclass(frozen=True)
class TraceConfig(Config):
    """An operator without a kernel of its own: MetaSchedule's trace as JSON, empty for our own recipe."""

    trace: str

    name: ClassVar = "generic"

    @classmethod
    def read(cls, knobs: Mapping[str, Any]) -> TraceConfig:
        """See :class:`Config`."""
        return cls(text(knobs["trace"]))
