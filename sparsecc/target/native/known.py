"""Processors that we know: nobody needs to measure their figures, or fit their cores' constants."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sparsecc.target import CORES, Core
from sparsecc.target.native.figures import Figures


@dataclass(frozen=True)
class Known:
    """A processor.

    Attributes
    ----------
    name : str
    figures : mapping
        Target -> figures that were measured on it.
    cores : mapping
        Target -> its core, where that is another one than the target's own.
    """

    name: str
    figures: Mapping[str, Figures]
    cores: Mapping[str, Core]


#: measured on an EPYC of the family (2 cores of a virtual machine): 16 MiB of the last cache are what one core keeps
_ZEN_4 = {
    "x86-64-v4": Figures(1, 1, 32 << 10, 1 << 20, 16 << 20, 32.0, 24.0, 7.0, double_pumped=True),
    "x86-64-v3": Figures(2, 2, 32 << 10, 1 << 20, 16 << 20, 32.0, 24.0, 7.0, double_pumped=False),
}
#: measured on an EPYC of the family (2 cores of a virtual machine); half of 32 MiB of last cache
_ZEN_5 = {"x86-64-v4": Figures(2, 2, 48 << 10, 1 << 20, 16 << 20, 32.0, 29.0, 11.0, double_pumped=False)}

_ZEN_3_CORE = {"x86-64-v3": CORES["zen-3"]}
_ZEN_4_CORE = {"x86-64-v4": CORES["zen-4"], "x86-64-v3": CORES["zen-4-avx2"]}
_ZEN_5_CORE = {"x86-64-v4": CORES["zen-5"]}

#: processor as in :func:`~sparsecc.target.native.cpu.processor` -> what is known of it
KNOWN: Mapping[str, Known] = {
    "AuthenticAMD-25-1": Known("AMD EPYC 7003 (Zen 3)", {}, _ZEN_3_CORE),
    "AuthenticAMD-25-33": Known("AMD Ryzen 5000 (Zen 3)", {}, _ZEN_3_CORE),
    "AuthenticAMD-25-80": Known("AMD Ryzen 5000 with graphics (Zen 3)", {}, _ZEN_3_CORE),
    "AuthenticAMD-25-17": Known("AMD EPYC 9004 (Zen 4)", _ZEN_4, _ZEN_4_CORE),
    "AuthenticAMD-25-97": Known("AMD Ryzen 7000 (Zen 4)", _ZEN_4, _ZEN_4_CORE),
    "AuthenticAMD-25-160": Known("AMD EPYC 97x4 (Zen 4c)", _ZEN_4, _ZEN_4_CORE),
    "AuthenticAMD-26-2": Known("AMD EPYC 9005 (Zen 5)", _ZEN_5, _ZEN_5_CORE),
}
#: what is known of any other
UNKNOWN = Known("", {}, {})
