"""The cost model's prediction for many kernels at once, as sums of constants times what multiplies them.

For a given issue width and set factor every other constant is a factor of a term. So for each of the few values of
those two the model is asked once for each constant, and a fit then needs it no more.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from sparsecc.kernels.direct_shape import DirectConfig
from sparsecc.lower.cost.direct import EXPOSED, DirectWork, compute_cycles, memory_cycles
from sparsecc.target import Core, Target

Array = NDArray[np.float64]
#: constants that are factors of what a core computes and of what it reads, those that are not, with their values worth
#: a try
COMPUTE = ("block_cycles", "dense_block_cycles", "accumulator_cycles", "tile_cycles", "crowded_cycles")
MEMORY = ("l2_line_cycles", "l3_line_cycles", "stream_factor", "reread_share", "copied_vector_cycles")
ISSUE_WIDTHS, SET_FACTORS = (2.0, 3.0, 4.0, 5.0, 6.0, 8.0), (1.0, 1.5, 2.0, 3.0)


@dataclass(frozen=True, eq=False)
class Terms:
    """What kernels cost, kernel by kernel.

    Attributes
    ----------
    compute, memory : mapping
        Issue width, or set factor -> ``(constants + 1, kernels)`` float64: what each constant is multiplied by, and
        last what is added whatever they are.
    images : numpy.ndarray
        ``(kernels,)`` float64.
    """

    compute: Mapping[float, Array]
    memory: Mapping[float, Array]
    images: Array

    def cycles(self, constants: Array, *, issue_width: float, set_factor: float) -> Array:
        """Predicted cycles, ``(kernels,)``; ``constants`` are those of COMPUTE, then those of MEMORY."""
        split = len(COMPUTE)
        compute = constants[:split] @ self.compute[issue_width][:-1] + self.compute[issue_width][-1]
        memory = constants[split:] @ self.memory[set_factor][:-1] + self.memory[set_factor][-1]
        cycles: Array = self.images * (np.maximum(compute, memory) + EXPOSED * np.minimum(compute, memory))
        return cycles


def terms_of(kernels: Sequence[tuple[DirectWork, DirectConfig]], target: Target) -> Terms:
    """Ask the cost model."""
    core = target.core_model
    return Terms(
        {width: _factors(compute_cycles, COMPUTE, kernels, target, replace(core, issue_width=width))
         for width in ISSUE_WIDTHS},
        {factor: _factors(memory_cycles, MEMORY, kernels, target, replace(core, set_factor=factor))
         for factor in SET_FACTORS},
        np.array([work.images for work, _ in kernels], np.float64),
    )  # fmt: skip


def _factors(
    model: Callable[[DirectWork, DirectConfig, Target], float],
    names: Sequence[str],
    kernels: Sequence[tuple[DirectWork, DirectConfig]],
    target: Target,
    core: Core,
) -> Array:
    """From predictions for constants of one, and with each of them two."""
    ones = dict.fromkeys(names, 1.0)

    def asked(constants: Mapping[str, float]) -> Array:
        changed = replace(target, core_model=replace(core, **constants))  # type: ignore[arg-type]
        return np.array([model(work, config, changed) for work, config in kernels], np.float64)

    base = asked(ones)
    factors = [asked({**ones, name: 2.0}) - base for name in names]
    return np.stack([*factors, base - sum(factors)])
