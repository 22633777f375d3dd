"""What was decided about a pair of kernels."""

from __future__ import annotations

from dataclasses import dataclass

from sparsecc.ir.provenance import BY_MODEL, Provenance


@dataclass(frozen=True)
class Joining:
    """Whether a convolution and the window kernel after it become one kernel, and by what that was chosen."""

    joined: bool
    why: Provenance = BY_MODEL
