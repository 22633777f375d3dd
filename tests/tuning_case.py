"""A network that is quick to tune, and devices that misbehave."""

from __future__ import annotations

import functools
import os
import shutil
import stat
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from sparsecc.importer import import_model
from sparsecc.kernels.config import Config
from sparsecc.lower.config import TraceConfig
from sparsecc.options import Options
from sparsecc.pipeline import analyse, rewrite
from sparsecc.target import resolve
from sparsecc.target.records.record import Record
from sparsecc.tuning.tasks import KernelTask, Task, find_tasks
from sparsecc.tuning.timing import Outcome, Timing

SHAPE = (1, 3, 20, 20)

#: puts itself before the measuring program and does FAULT when candidate AT begins
_DEVICE = """\
#!{python}
import os, subprocess, sys, time
fault, at = {fault!r}, {at}
process = subprocess.Popen(sys.argv[1:], stdout=subprocess.PIPE)
for line in process.stdout:
    if line.split()[:2] == [b"begin", b"%d" % at]:
        if fault == "crash":
            sys.stdout.buffer.write(line); sys.stdout.flush(); process.kill(); os.abort()
        if fault == "exit":
            process.kill(); sys.exit("out of luck")
        if fault == "hang":
            sys.stdout.buffer.write(line); sys.stdout.flush(); time.sleep(60)
        if fault == "garbage":
            line = b"\\x00\\xff nonsense\\n"
        if fault == "end":
            sys.stdout.buffer.write(line); process.kill(); sys.exit(0)
    sys.stdout.buffer.write(line)
    sys.stdout.flush()
sys.exit(process.wait())
"""


class TinyNet(nn.Module):
    """A convolution, a depthwise one, a pruned 1x1 and 3x3 one, a pooling and a classifier."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 3, stride=2, padding=1)
        self.depthwise = nn.Conv2d(16, 16, 3, padding=1, groups=16)
        self.pointwise = nn.Conv2d(16, 32, 1)
        self.conv = nn.Conv2d(32, 32, 3, padding=1)
        self.pool = nn.MaxPool2d(2)
        self.head = nn.Linear(32, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(1, 3, 20, 20) to (1, 10)."""
        x = torch.relu(self.stem(x))
        x = torch.relu(self.pointwise(torch.relu(self.depthwise(x))))
        x = self.pool(torch.relu(self.conv(x) + x))
        return self.head(x.mean((2, 3)))


@functools.cache
def tiny_net() -> nn.Module:
    """The network, pruned 1x8 75 %."""
    torch.manual_seed(0)
    net = TinyNet().eval()
    rng = np.random.default_rng(0)
    for layer in (net.pointwise, net.conv):
        oc, ic = layer.weight.shape[:2]
        kept = np.repeat(rng.random((oc // 8, ic)) < 0.25, 8, axis=0)
        layer.weight.data *= torch.from_numpy(kept[:, :, None, None])
    return net


def example() -> tuple[torch.Tensor]:
    """Its input."""
    return (torch.randn(SHAPE, generator=torch.Generator().manual_seed(1)),)


@functools.cache
def tasks(target: str = "x86-64-v3") -> tuple[KernelTask, ...]:
    """Its kernels with knobs."""
    return tasks_of(tiny_net(), *example(), target)


def tasks_of(net: nn.Module, x: torch.Tensor, target: str, *, winograd: bool = True) -> tuple[KernelTask, ...]:
    """A network's kernels with knobs."""
    resolved = resolve(target)
    imported = import_model(net, (x,))
    plan = analyse(imported, resolved, Options(winograd=winograd))
    return tuple(find_tasks(rewrite(imported, plan, resolved), resolved))


def task_of(layer: str, *, target: str = "x86-64-v3") -> KernelTask:
    """The task that has a layer."""
    return next(task for task in tasks(target) if layer in task.names)


def some(task: KernelTask, count: int) -> list[Config]:
    """The cost model's config and others from all over the space."""
    space = task.space
    step = max(1, len(space) // count)
    return list(dict.fromkeys([task.choice.default, *space[::step]]))[:count]


def misbehaving(folder: Path, fault: str, *, at: int) -> str:
    """A runner's command that does ``fault`` when candidate ``at`` begins."""
    path = folder / f"device_{fault}"
    path.write_text(_DEVICE.format(python=sys.executable, fault=fault, at=at))
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


def emulator(name: str) -> str:
    """An emulator's command; see :func:`program`."""
    return shutil.which(f"{name}-static") or program(name)


def program(name: str) -> str:
    """Where a program of Debian's is; a machine without it skips the test, CI fails."""
    found = shutil.which(name)
    if found is None:
        if os.environ.get("CI"):
            pytest.fail(f"CI needs {name}")
        pytest.skip(f"needs {name}; .ci/run has the packages of all")
    return found


def traced_record(net: nn.Module, x: torch.Tensor, change: Callable[[str], str]) -> Record:
    """A record of a network's only operator, with the first schedule that MetaSchedule has for it, changed."""
    (task,) = tasks_of(net, x, "x86-64-v3")
    config = task.space[1]
    assert isinstance(config, TraceConfig)
    return Record(
        layer=task.key, target=task.target.name, isa=(), threads=1, config=TraceConfig(change(config.trace)), us=1.0,
        spread=0.0, default=task.choice.default, default_us=2.0, rounds=21, trial=1, cpu="x", date="2026-01-01",
        versions={},
    )  # fmt: skip


class Biased:
    """A runner that claims one config takes a tenth of any other's time, and every other one as long as any."""

    flat = False
    where = "nowhere"

    def __init__(self, best: Config) -> None:
        self.best = best

    def measure(
        self, task: Task, configs: Sequence[Config], *, threads: int, rounds: int, first: int = 0
    ) -> Iterator[tuple[Config, Outcome]]:
        """See the protocol."""
        times = [1.0 if config == self.best else 10.0 for config in configs]
        for config, us in list(zip(configs, times, strict=True))[first:]:
            yield config, Timing(us, times[0], 0.0, rounds, 0, 0.0, "nobody's")
