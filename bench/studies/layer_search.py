"""Which configs of a layer are tried, and how they are timed."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from pathlib import Path

from sparsecc.kernels.config import Config
from sparsecc.lower import stored as configs
from sparsecc.lower.config import ConvConfig
from sparsecc.runtime.command import Command
from sparsecc.tuning.runners.protocol import Reader
from sparsecc.tuning.tasks import Task
from sparsecc.tuning.timing import Outcome, Timing

#: predicted time, relative to the least, beyond which only chance picks a config
_HOPELESS = 3.0
#: kinds of config by their predicted best, kinds of which every config is tried, and at most how many of these
_KINDS, _DETAILED, _DETAILS = 18, 3, 6
#: configs that chance picks
_RANDOM = 6
#: knobs that make no kind of their own: kinds differ in loops and tiles
_SMALL = ("prefetch", "unroll_taps", "ahead", "singles", "chunks")


def candidates(task: Task, *, seed: int) -> list[Config]:
    """The cost model's config, the best of every promising kind, variants of the best kinds, and some by chance."""
    space, predict = task.space, task.choice.predict
    default = task.choice.default
    predicted = {config: predict(config) for config in space}
    least = predicted[default]
    if least is None:
        return list(space)
    ranked = sorted(space, key=lambda config: predicted[config] or 0.0)
    kinds: dict[tuple[object, ...], list[Config]] = {}
    for config in ranked:
        if (predicted[config] or 0.0) <= _HOPELESS * least:
            kinds.setdefault(_kind(config), []).append(config)
    best = [members[0] for members in list(kinds.values())[:_KINDS]]
    detailed = [config for members in list(kinds.values())[:_DETAILED] for config in members[1:]]
    dice = random.Random(seed)
    dice.shuffle(detailed)
    chance = dice.sample(ranked, min(_RANDOM, len(ranked)))
    return list(dict.fromkeys((default, *best, *detailed[:_DETAILS], *chance)))


def _kind(config: Config) -> tuple[object, ...]:
    return tuple((name, value) for name, value in configs.to_json(config).items() if name not in _SMALL)


def timed(program: Path, *, rounds: int, only: Sequence[int]) -> dict[int, Timing]:
    """Timings of some of a program's candidates, each in turns with the first one; those that fail are left out."""
    return {number: outcome for number, outcome in _outcomes(program, rounds, only) if isinstance(outcome, Timing)}


def _outcomes(program: Path, rounds: int, only: Sequence[int]) -> Iterator[tuple[int, Outcome]]:
    options = ("--threads", "1", "--rounds", str(rounds))
    command = Command()
    with command.ready(program) as words:
        for number in only:
            lines = command.lines((*words, *options, "--from", str(number), "--to", str(number + 1)))
            yield from Reader().read(lines)


def in_words(config: Config) -> str:
    """A config in words; knobs that are off are left out."""
    knobs = configs.to_json(config)
    kind = knobs.pop("kernel")
    if isinstance(config, ConvConfig) and kind == "direct":
        order = "rows" if knobs.pop("rows_outer") else "tiles"
        tile = f"{knobs.pop('reg_n')}x{knobs.pop('vectors')}x{knobs.pop('lanes')}"
        flags = [f"{key}" if value is True else f"{key} {value}" for key, value in knobs.items() if _tells(key, value)]
        return " ".join([kind, f"N={knobs['block_n']}", tile, order, *flags])
    return " ".join([kind, *(f"{key}={value}" for key, value in knobs.items())])


def _tells(key: str, value: object) -> bool:
    return key not in ("block_n", "unroll_taps") and bool(value) and (key, value) != ("chunks", 1)
