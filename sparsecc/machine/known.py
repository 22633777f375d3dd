"""Processors whose figures are shipped: nobody needs to measure them."""

from __future__ import annotations

from collections.abc import Mapping

from sparsecc.machine.figures import Figures

#: measured on an EPYC of the family (2 cores of a virtual machine): 16 MiB of the last cache are what one core keeps
_ZEN_4 = {
    "x86-64-v4": Figures(1, 1, 32 << 10, 1 << 20, 16 << 20, 32.0, 24.0, 7.0),
    "x86-64-v3": Figures(2, 2, 32 << 10, 1 << 20, 16 << 20, 32.0, 24.0, 7.0),
}

#: measured on an EPYC of the family (2 cores of a virtual machine); half of 32 MiB of last cache
_ZEN_5 = {"x86-64-v4": Figures(2, 2, 48 << 10, 1 << 20, 16 << 20, 32.0, 29.0, 11.0)}

#: processor as in :func:`~sparsecc.machine.cpu.processor` -> its name, and its figures for each target
KNOWN: Mapping[str, tuple[str, Mapping[str, Figures]]] = {
    "AuthenticAMD-25-17": ("AMD EPYC 9004 (Zen 4)", _ZEN_4),
    "AuthenticAMD-25-97": ("AMD Ryzen 7000 (Zen 4)", _ZEN_4),
    "AuthenticAMD-25-160": ("AMD EPYC 97x4 (Zen 4c)", _ZEN_4),
    "AuthenticAMD-26-2": ("AMD EPYC 9005 (Zen 5)", _ZEN_5),
}
