"""What is said of a network on a core, by step: instructions by kind, misses, cycles."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from bench.emulate.blocks import Block
from bench.emulate.code import count_kinds, texts
from bench.emulate.cycles import Cycles, block_cycles, with_memory
from bench.showing.markdown import table
from sparsecc.target.hardware import Hardware

_MILLION = 1e6


@dataclass(frozen=True)
class Part:
    """A step, or all of them.

    Attributes
    ----------
    name : str
    kinds : Counter
        Instructions by kind.
    foreseen, unforeseen : tuple of int
        Misses of each cache.
    cycles : Cycles
    """

    name: str
    kinds: Counter[str]
    foreseen: tuple[int, ...]
    unforeseen: tuple[int, ...]
    cycles: Cycles

    @property
    def instructions(self) -> int:
        """All of them."""
        return self.kinds.total()


@dataclass(frozen=True)
class Symbols:
    """Functions of a program in the order of where they begin, their bytes; those that stand for steps."""

    addresses: tuple[int, ...] = ()
    sizes: tuple[int, ...] = ()
    names: tuple[str, ...] = ()
    steps: Mapping[int, str] = field(default_factory=dict)

    def of(self, block: Block) -> str:
        """The function that a block is in; what has no name belongs to the step that it ran for."""
        i = bisect_right(self.addresses, block.address) - 1
        if i >= 0 and block.address < self.addresses[i] + self.sizes[i]:
            return self.names[i]
        return self.steps.get(block.owner, "without a name")


def estimate(blocks: Sequence[Block], hardware: Hardware, symbols: Symbols, *, mca: str) -> tuple[Part, list[Part]]:
    """All of a run, and its functions, those with most cycles first."""
    names = texts(blocks)
    each = block_cycles(blocks, names, hardware, mca=mca)
    by_name: dict[str, list[Block]] = {}
    for block in blocks:
        by_name.setdefault(symbols.of(block), []).append(block)
    parts = [_part(name, own, names, each, hardware) for name, own in by_name.items()]
    return _part("all", blocks, names, each, hardware), sorted(parts, key=lambda part: -part.cycles.all)


def _part(
    name: str, blocks: Sequence[Block], names: dict[bytes, str], each: dict[Block, float], hardware: Hardware
) -> Part:
    computing = sum(each[block] * block.runs for block in blocks)
    memory = sum(with_memory(block, each[block] * block.runs, hardware) for block in blocks)
    foreseen, unforeseen = (
        tuple(sum(column) for column in zip(*(getattr(block, field) for block in blocks), strict=True))
        for field in ("foreseen", "unforeseen")
    )
    return Part(name, count_kinds(blocks, names), foreseen, unforeseen, Cycles(computing, memory))


def shown(parts: Sequence[Part], hardware: Hardware) -> str:
    """A table, in millions."""
    kinds = [kind for kind in parts[0].kinds if any(part.kinds[kind] for part in parts)]
    caches = [f"misses of cache {i + 1}, foreseen, others" for i in range(len(hardware.caches))]
    heads = ["step", "instructions", *kinds, *caches, "cycles, computing", "with memory"]
    return table(heads, [_row(part, kinds) for part in parts])


def _row(part: Part, kinds: Sequence[str]) -> list[str]:
    misses = [f"{_in(a)}, {_in(b)}" for a, b in zip(part.foreseen, part.unforeseen, strict=True)]
    numbers = [part.instructions, *(part.kinds[kind] for kind in kinds)]
    return [part.name, *map(_in, numbers), *misses, _in(part.cycles.computing), _in(part.cycles.all)]


def _in(count: float) -> str:
    return f"{count / _MILLION:.2f}"
