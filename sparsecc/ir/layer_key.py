"""What records call a layer: all that decides which config is fastest, and nothing of its network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

from sparsecc.ir.conv import ConvSpec
from sparsecc.ir.epilogue import adds_residual

Kind = Literal["conv", "chain", "window", "linear", "generic", "join", "algorithm", "qconv", "qdepthwise"]
Pattern = Literal["dense", "uniform", "ragged", "none"]

#: layers whose shares of kept blocks differ by less fall into one bucket (per cent)
_BUCKET = 5
#: numbers that a field of a ConvSpec has; others have one
_LENGTHS = {"stride": 2, "dilation": 2, "padding": 4}


@dataclass(frozen=True)
class LayerKey:
    """A layer as records see it. Equal keys: the same configs are legal and about equally fast.

    Attributes
    ----------
    kind : str
        ``conv``, ``chain`` (with the window kernel that follows it), ``window``, ``linear``, or ``generic`` for what
        has no kernel of its own: then ``spec`` is the result's shape, and ``epilogue`` a hash of the operator.
        ``join`` is the question whether a convolution and the window kernel after it become a chain; ``algorithm`` what
        computes a 3x3 convolution of stride 1, whatever its epilogue. ``qconv`` and ``qdepthwise`` are layers of int8.
    spec : ConvSpec
    block_n : int
        Output channels of a block; 0 where every block is kept, for then a config decides.
    density : int
        Kept blocks in per cent, rounded up to a multiple of 5.
    pattern : str
        ``dense``, ``uniform`` (every row keeps equally many blocks), ``ragged``, or ``none`` for windows.
    scattered : bool
        True when output channels of a row are looked up.
    epilogue : str
    pitch : tuple of int
        Floats from row to row of the input and of the output; 0 before layouts are chosen.
    window : ConvSpec or None
        The second half of a chain, or of what may become one.
    combine : str
        ``weighted``, ``sum`` or ``max`` where there is a window.
    by_tap : bool
        True when a block is one tap of a kernel; records may leave it out.
    in_place : bool
        True when a window's result takes the place of its input; of a pair, when it might if the two are not joined.
        Records from before there was this leave it out.
    adds_residual : bool
        Whether the epilogue adds another tensor; records from before there was this have it in the epilogue's text.
    """

    kind: Kind
    spec: ConvSpec
    block_n: int
    density: int
    pattern: Pattern
    scattered: bool
    epilogue: str
    pitch: tuple[int, int]
    window: ConvSpec | None = None
    combine: str = ""
    by_tap: bool = False
    in_place: bool = False
    adds_residual: bool = False

    def __str__(self) -> str:
        s = self.spec
        if self.kind == "generic":
            return f"operator {self.epilogue}, result {s.n}x{s.oc}x{s.oh}x{s.ow}"
        blocks = {"dense": "dense", "none": self.combine}.get(self.pattern, f"1x{self.block_n} {100 - self.density} %")
        then = "" if self.window is None else f" then {self.combine} {self.window.kh}x{self.window.kw}"
        then += " in place" * self.in_place
        finish = f", {self.epilogue}" * (self.kind != "algorithm")
        return (
            f"{self.kind} {s.n}x{s.ic}x{s.ih}x{s.iw} to {s.oc}x{s.oh}x{s.ow}, {s.kh}x{s.kw} / {s.stride[0]}, "
            f"{blocks}{then}{finish}"
        )

    def to_json(self) -> dict[str, Any]:
        """Return JSON-ready data that :meth:`from_json` reads."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> LayerKey:
        """Rebuild what :meth:`to_json` returned.

        Raises
        ------
        KeyError, TypeError, ValueError
            A field is missing, or of another type.
        """
        kind, pattern = data["kind"], data["pattern"]
        if kind not in get_args(Kind):
            raise ValueError(f"kind: found {kind!r}, expected one of {', '.join(get_args(Kind))}")
        if pattern not in ("dense", "uniform", "ragged", "none"):
            raise ValueError(f"pattern: found {pattern!r}, expected dense, uniform, ragged or none")
        first, second = data["pitch"]
        return cls(
            kind=kind, spec=_spec(data["spec"]), block_n=int(data["block_n"]), density=int(data["density"]),
            pattern=pattern, scattered=bool(data["scattered"]), epilogue=str(data["epilogue"]),
            pitch=(int(first), int(second)), window=None if data["window"] is None else _spec(data["window"]),
            combine=str(data["combine"]), by_tap=bool(data.get("by_tap", False)),
            in_place=bool(data.get("in_place", False)),
            adds_residual=bool(data.get("adds_residual", adds_residual(str(data["epilogue"])))),
        )  # fmt: skip


def bucket(kept: int, of: int) -> int:
    """Density in per cent, rounded up to a bucket's upper end."""
    return 0 if kept == 0 else min(100, -(-100 * kept // (of * _BUCKET)) * _BUCKET)


def _spec(data: Mapping[str, Any]) -> ConvSpec:
    fields: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in data.items()}
    for name, value in fields.items():
        numbers, least = value if isinstance(value, tuple) else (value,), 0 if name == "padding" else 1
        if not all(isinstance(n, int) and not isinstance(n, bool) and n >= least for n in numbers):
            raise ValueError(f"{name}: found {value!r}, expected numbers from {least} on")
        if len(numbers) != _LENGTHS.get(name, 1):
            raise ValueError(f"{name}: found {value!r}, expected {_LENGTHS.get(name, 1)} numbers")
    return ConvSpec(**fields)
