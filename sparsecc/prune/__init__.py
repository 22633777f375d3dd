"""Pruning with the patterns that the compiler runs fast: 1xN, SUBP, DARB, and guided sparsity learning.

>>> pruner = sparsecc.prune.OneByN(n=16, sparsity=0.75)   # doctest: +SKIP
>>> pruner.apply(model)                                   # doctest: +SKIP
>>> train(model)                                          # doctest: +SKIP
>>> pruner.finalize()                                     # doctest: +SKIP

It needs torch and nothing of the compiler. ``sparsecc.compile`` takes models with or without ``finalize()``.
"""

from sparsecc.prune.callback import Callback, LightningCallback
from sparsecc.prune.darb import Bmwm, Darb, block_max_mask
from sparsecc.prune.grouping import Grouping, group_channels
from sparsecc.prune.guided import Bounds, Guided
from sparsecc.prune.mask import Mask, finalize
from sparsecc.prune.onebyn import OneByN
from sparsecc.prune.pruner import Pruner
from sparsecc.prune.report import LayerReport, PruneReport, report
from sparsecc.prune.subp import Subp

__all__ = [
    "Bmwm",
    "Bounds",
    "Callback",
    "Darb",
    "Grouping",
    "Guided",
    "LayerReport",
    "LightningCallback",
    "Mask",
    "OneByN",
    "PruneReport",
    "Pruner",
    "Subp",
    "block_max_mask",
    "finalize",
    "group_channels",
    "report",
]
