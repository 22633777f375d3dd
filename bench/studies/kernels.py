"""The kernels of a network, as a search takes them."""

from __future__ import annotations

import numpy as np
from torch import nn

from sparsecc.importer import import_model
from sparsecc.options import Options
from sparsecc.pipeline import analyse, rewrite
from sparsecc.target import Target
from sparsecc.tuning.tasks import KernelTask, find_tasks


def kernels_of(
    model: nn.Module, target: Target, options: Options | None = None, *, channels: int = 3, size: int
) -> list[KernelTask]:
    """The distinct kernels of a network for one image of ``size`` by ``size`` pixels."""
    imported = import_model(model, (np.zeros((1, channels, size, size), np.float32),))
    plan = analyse(imported, target, options or Options())
    return find_tasks(rewrite(imported, plan, target), target)
