"""Damaged libraries: loaded and run."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from random import Random

import numpy as np
from kernels_c import resealed

import sparsecc
from fuzz.damage import damaged, damaged_json
from fuzz.outcome import Outcome
from sparsecc.runtime import elf
from sparsecc.runtime.format import DESCRIPTION_SECTION


def library_cases(samples: Path, folder: Path) -> Callable[[Random], Outcome]:
    """Bits, pages and lengths of the file."""
    data = (samples / "model.so").read_bytes()

    def case(random: Random) -> Outcome:
        return _loaded(damaged(data, random), samples, folder)

    return case


def description_cases(samples: Path, folder: Path) -> Callable[[Random], Outcome]:
    """Fields of the description, in a file whose digest is right: what somebody edited on purpose."""
    data = (samples / "model.so").read_bytes()
    parsed = elf.parse(data, name="model.so")
    section = parsed.section(DESCRIPTION_SECTION)
    assert section is not None, "the sample has a description"
    place = data.index(bytes(parsed.content(section)))
    text, _, rest = bytes(parsed.content(section)).partition(b"\0")
    room = len(text) + len(rest)
    description = json.loads(text)
    small = {name: value for name, value in description.items() if name != "report"}

    def case(random: Random) -> Outcome:
        # without the report there is room for longer values; what does not fit all the same is cut
        chosen = description if random.random() < 0.3 else small
        edited = damaged_json(chosen, random).encode("utf-8", "surrogatepass")[:room].ljust(room + 1, b"\0")
        return _loaded(resealed(data[:place] + edited + data[place + len(edited) :]), samples, folder)

    return case


def _loaded(data: bytes, samples: Path, folder: Path) -> Outcome:
    path = folder / "damaged.so"
    path.write_bytes(data)
    with sparsecc.load(path, threads=1) as library:
        results = library(np.load(samples / "input.npy"))
        library.profile(np.load(samples / "input.npy"), runs=1)
        str(library), str(library.report)
    found = list(results) if isinstance(results, tuple | list) else [results]
    expected = [np.load(samples / f"output_{i}.npy") for i in range(2)]
    same = len(found) == 2 and all(np.array_equal(a, b) for a, b in zip(found, expected, strict=True))
    return Outcome("right") if same else Outcome("wrong", "other results")
