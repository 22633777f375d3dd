"""Deal elements of several vectors out to others by shuffles of two vectors each: strided picks, interleaving."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sparsecc._tvm import T, tirx

Element = int


def regrouped(
    vectors: Sequence[Any], held: Sequence[Sequence[Element]], wanted: Sequence[Sequence[Element]]
) -> list[Any]:
    """Vectors that have the ``wanted`` elements.

    Parameters
    ----------
    vectors : sequence of expression
        All of one width.
    held : sequence of sequence of int
        Which element each lane of them holds: numbers below ``len(vectors)`` times the width, each once. A power of
        two of vectors; which of them holds an element, and where, is a matter of single bits of its number.
    wanted : sequence of sequence of int
        The same for the result; vectors may be left out.

    Notes
    -----
    Each round takes a bit of the number of a vector into its lanes, and one of the lanes' out::

        vectors:  0 1 2 3 | 4 5 6 7     ->     0 4 1 5 | 2 6 3 7     ->    0 2 4 6 | 1 3 5 7
    """
    registers = [(T.bind(vector), tuple(lanes)) for vector, lanes in zip(vectors, held, strict=True)]
    inward, outward = _fixed(held) & ~_fixed(wanted), _fixed(wanted) & ~_fixed(held)
    for into, out in zip(_bits(inward), _bits(outward), strict=True):
        registers = _round(registers, into, out, wanted)
    final = {frozenset(lanes): (vector, lanes) for vector, lanes in registers}
    return [_arranged(*final[frozenset(lanes)], lanes) for lanes in wanted]


def _round(
    registers: list[tuple[Any, tuple[Element, ...]]], into: int, out: int, wanted: Sequence[Sequence[Element]]
) -> list[tuple[Any, tuple[Element, ...]]]:
    """Merge vectors that differ in bit ``into``, and split them by bit ``out``."""
    by_lanes = {frozenset(lanes): (vector, lanes) for vector, lanes in registers}
    after = []
    for lanes, (vector, order) in by_lanes.items():
        other = frozenset(element ^ into for element in lanes)
        if order[0] & into or other not in by_lanes:
            continue
        partner, partner_order = by_lanes[other]
        held = [*order, *partner_order]
        for bit in (0, out):
            picked = _in_order([element for element in held if element & out == bit], wanted)
            if picked:
                after.append((T.bind(shuffle([vector, partner], held, picked)), picked))
    return after


def _in_order(elements: list[Element], wanted: Sequence[Sequence[Element]]) -> tuple[Element, ...]:
    """The elements as the result has them, if they are one of its vectors; nothing if none is in the result."""
    whole = next((tuple(lanes) for lanes in wanted if set(lanes) == set(elements)), None)
    if whole is not None:
        return whole
    needed = {element for lanes in wanted for element in lanes}
    return tuple(elements) if needed & set(elements) else ()


def _arranged(vector: Any, held: tuple[Element, ...], wanted: Sequence[Element]) -> Any:
    return vector if held == tuple(wanted) else shuffle([vector], held, wanted)


def shuffle(vectors: list[Any], held: Sequence[Element], wanted: Sequence[Element]) -> Any:
    """A vector of the ``wanted`` elements out of vectors that hold ``held``, one after another."""
    place = {element: i for i, element in enumerate(held)}
    return tirx.Shuffle(vectors, [tirx.const(place[element], "int32") for element in wanted])


def _fixed(vectors: Sequence[Sequence[Element]]) -> int:
    """Bits of an element's number that are the same in all lanes of a vector."""
    fixed = ~0
    for lanes in vectors:
        for element in lanes:
            fixed &= ~(element ^ lanes[0])
    most = max(element for lanes in vectors for element in lanes)
    return fixed & ((1 << most.bit_length()) - 1)


def _bits(mask: int) -> list[int]:
    return [1 << i for i in range(mask.bit_length()) if mask >> i & 1]
