"""Damaged files that the compiler reads: records, targets, figures."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from random import Random

import torch

import sparsecc
from fuzz.damage import damaged, damaged_json
from fuzz.outcome import Outcome
from fuzz.samples import sample_net
from sparsecc.target import resolve
from sparsecc.target.native.calibrate import cache_file, clock_file, clock_here, core_here, figures_here
from sparsecc.target.native.constants import constants_file
from sparsecc.target.native.cpu import processor
from sparsecc.target.records.lookup import find_records

#: share of readable logs that a network is compiled with: it takes a second
_COMPILED = 0.05


def record_cases(samples: Path, folder: Path) -> Callable[[Random], Outcome]:
    """A log with one damaged line: read, and in some cases compiled with."""
    torch.set_num_threads(1)
    data = (samples / "records.jsonl").read_bytes()
    lines = data.decode().splitlines()

    def case(random: Random) -> Outcome:
        path = folder / "damaged.jsonl"
        path.write_bytes(damaged(data, random) if random.random() < 0.4 else _edited(lines, random))
        find_records(path, resolve("native"))
        return _compiled(path) if random.random() < _COMPILED else Outcome("right")

    return case


def _edited(lines: list[str], random: Random) -> bytes:
    changed = list(lines)
    at = random.randrange(len(changed))
    changed[at] = damaged_json(json.loads(changed[at]), random)
    return "\n".join(changed).encode("utf-8", "surrogatepass")


def _compiled(records: Path) -> Outcome:
    net, x = sample_net()
    lib = sparsecc.compile(net, example_inputs=(x,), threads=1, schedules=records, verify=False, cc="cc")
    with torch.no_grad():
        pairs = zip(lib(x), net(x), strict=True)
        error = max(float((a - b).abs().max() / b.abs().max()) for a, b in pairs)
    return Outcome("right") if error < 1e-5 else Outcome("wrong", f"differs by {error:.1e}")


def target_cases(samples: Path, folder: Path) -> Callable[[Random], Outcome]:
    """A user's target file."""
    text = (samples / "target.json").read_text()

    def case(random: Random) -> Outcome:
        path = folder / "damaged.json"
        path.write_bytes(_either(text, random))
        resolve(str(path))
        return Outcome("right")

    return case


def figure_cases(samples: Path, folder: Path) -> Callable[[Random], Outcome]:
    """Figures of this machine that were kept: what can't be used is measured again, or the shipped ones serve."""
    text = (samples / "figures.json").read_text()
    native = resolve("native")

    def case(random: Random) -> Outcome:
        os.environ["XDG_CACHE_HOME"] = str(folder)  # of this process only, which ends with the case
        for path in (
            cache_file(native, processor()),
            clock_file(processor()),
            constants_file(native, processor()),
        ):
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(_either(text, random))
        figures_here(native, cc="false")
        clock_here(native, cc="false")
        core_here(native)
        return Outcome("right")

    return case


def _either(text: str, random: Random) -> bytes:
    if random.random() < 0.4:
        return damaged(text.encode(), random)
    return damaged_json(json.loads(text), random).encode("utf-8", "surrogatepass")
