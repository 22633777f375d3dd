"""Numbers and names of a page, as people read them."""

from __future__ import annotations

from sparsecc.analyse.layers import LayerPlan
from sparsecc.analyse.said import short
from sparsecc.text import printable

#: characters of a name that a page shows: the rest of a longer one tells nothing more
_LONGEST = 160


def name(text: object) -> str:
    """A name of a layer or file: no control characters, of a length that a page has room for."""
    safe = printable(str(text))
    half = _LONGEST // 2
    return safe if len(safe) <= _LONGEST else f"{safe[:half]} .. {safe[-half:]}"


def sentence(text: object) -> str:
    """Anything longer than a name."""
    return printable(str(text))


def count(value: float) -> str:
    """``569 M``."""
    return short(value).strip()


def nbytes(value: float) -> str:
    """``1.55 MB``."""
    return f"{short(value)}B"


def time(us: float | None) -> str:
    """Microseconds as ms in three digits: ``0.123 ms``."""
    if us is None:
        return "-"
    ms = us / 1e3
    return f"{ms:.0f} ms" if ms >= 100 else f"{ms:.3g} ms" if ms >= 1 else f"{ms:.3f} ms"


def percent(share: float | None) -> str:
    """``12.3 %``."""
    return "-" if share is None else f"{100 * share:.1f} %"


def kept(share: float) -> str:
    """``25 %``: digits only where they say something, and all blocks only where it is all of them."""
    text = f"{100 * share:.1f}".removesuffix(".0")
    return f"{text} %" if share in (0, 1) or text not in ("0", "100") else "> 0 %" if text == "0" else "< 100 %"


def factor(value: float | None) -> str:
    """``1.53x``."""
    return "-" if value is None else f"{value:.2f}x"


def number(value: float | None) -> str:
    """What a column is sorted by; what is not known comes last."""
    return "" if value is None else f"{value:.6g}"


def shape(values: object) -> str:
    """``64x32x1x1``."""
    return "x".join(map(str, values)) if isinstance(values, tuple | list) else str(values)


def pattern(layer: LayerPlan) -> str:
    """``1x16 blocks``, and what is special about them."""
    found = layer.structure
    if found is None or not found.has_zero_blocks:
        return "no zero blocks" if found is not None else "not looked for"
    marks = (
        ("rows rearranged", not found.aligned),
        ("equally many a row", found.uniform),
        ("of one tap", found.by_tap),
    )
    return ", ".join([f"1x{found.block_n} blocks", *(mark for mark, holds in marks if holds)])


def algorithm(layer: LayerPlan) -> str:
    """``Winograd 4x4``, or ``direct``."""
    return "direct" if layer.tile is None else f"Winograd {layer.tile}x{layer.tile}"


def geometry(layer: LayerPlan) -> str:
    """What a shape of weights does not say."""
    spec = layer.spec
    parts = [f"input {spec.ih}x{spec.iw}", f"stride {spec.stride[0]}x{spec.stride[1]}"]
    parts += [f"padding {', '.join(map(str, spec.padding))}"] if any(spec.padding) else []
    parts += [f"dilation {spec.dilation[0]}x{spec.dilation[1]}"] if spec.dilation != (1, 1) else []
    parts += [f"{spec.groups} groups"] if spec.groups > 1 else []
    parts += [f"batch {spec.n}"] if spec.n > 1 else []
    return ", ".join(parts)
