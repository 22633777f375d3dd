"""Where every intermediate tensor lives: one arena, shared by tensors that are not needed at the same time."""

from __future__ import annotations

import random
from collections.abc import Callable, Set
from dataclasses import dataclass

from sparsecc.errors import InternalError
from sparsecc.ir.program import Program

#: Alignment of buffers and weights in bytes: a cache line, and the widest vector.
ALIGNMENT = 64


@dataclass(frozen=True)
class Life:
    """One buffer: its size in bytes (aligned), and the first and last step that needs it."""

    index: int
    size: int
    first: int
    last: int

    def meets(self, other: Life) -> bool:
        """Whether both are needed at the same step."""
        return self.first <= other.last and other.first <= self.last


@dataclass(frozen=True)
class ArenaPlan:
    """Offset of every buffer in the arena, and the arena's size, in bytes."""

    offsets: tuple[int, ...]
    nbytes: int


# Orders in which to place buffers; none is best for every network, and trying all costs nothing.
_ORDERS: tuple[Callable[[Life], tuple[int, ...]], ...] = (
    lambda life: (-life.size, life.first),
    lambda life: (-life.size * (life.last - life.first + 1), life.first),
    lambda life: (life.first, -life.size),
    lambda life: (-(life.last - life.first), -life.size),
)
# Steps of the search that follows: fewer for large networks, as each costs the square of the number of buffers.
_MOVES, _WORK = 400, 2_000_000


def plan_arena(program: Program) -> ArenaPlan:
    """Choose offsets so that buffers needed at the same step don't overlap.

    Greedy: buffers in some order, each into the tightest gap that is free while it lives (Pisarchyk and Lee, 2020,
    "greedy by size"). The best of several orders is then changed a little at a time for as long as that helps. The
    same program gets the same plan every time.
    """
    lives = lifetimes(program)
    orders = [sorted(lives, key=order) for order in _ORDERS]
    count = len(program.buffers)
    plan = _improve(min(orders, key=lambda order: _place(order, count=count).nbytes), lives, count=count)
    check_plan(plan, lives)
    return plan


def lifetimes(program: Program) -> tuple[Life, ...]:
    """Life of every buffer that a step names, from the first such step to the last."""
    steps: dict[int, list[int]] = {}
    for number, step in enumerate(program.steps):
        for ref in (*step.args, *(pad.ref for pad in step.pads)):
            if ref.place == "buffer":
                steps.setdefault(ref.index, []).append(number)
    return tuple(Life(i, align(program.buffers[i]), at[0], at[-1]) for i, at in sorted(steps.items()))


def lower_bound(lives: tuple[Life, ...]) -> int:
    """Most bytes that live at one step: no arena can be smaller."""
    starts = {life.first for life in lives}
    return max((sum(x.size for x in lives if x.first <= step <= x.last) for step in starts), default=0)


def check_plan(plan: ArenaPlan, lives: tuple[Life, ...]) -> None:
    """Raise InternalError if two buffers that live at the same step overlap, or one leaves the arena."""
    for i, one in enumerate(lives):
        start = plan.offsets[one.index]
        if start % ALIGNMENT or start + one.size > plan.nbytes:
            raise InternalError(f"arena plan: buffer {one.index} at {start} is misaligned or beyond {plan.nbytes}")
        for other in lives[:i]:
            at = plan.offsets[other.index]
            if one.meets(other) and start < at + other.size and at < start + one.size:
                raise InternalError(f"arena plan: buffers {other.index} and {one.index} overlap")


def align(nbytes: int) -> int:
    """Round up to a multiple of ALIGNMENT."""
    return -(-nbytes // ALIGNMENT) * ALIGNMENT


def _improve(order: list[Life], lives: tuple[Life, ...], *, count: int) -> ArenaPlan:
    """Move one buffer in the order, or put it at the other end of its gap; keep what is not worse."""
    best, high, bound = _place(order, count=count), set[int](), lower_bound(lives)
    choose = random.Random(0)
    for _ in range(min(_MOVES, _WORK // max(len(lives), 1) ** 2)):
        if best.nbytes == bound:
            break
        new_order, new_high = list(order), set(high)
        life = choose.choice(order)
        if choose.random() < 0.5:
            new_high ^= {life.index}
        else:
            new_order.remove(life)
            new_order.insert(choose.randrange(len(order)), life)
        plan = _place(new_order, count=count, high=new_high)
        if plan.nbytes <= best.nbytes:
            best, order, high = plan, new_order, new_high
    return best


def _place(order: list[Life], *, count: int, high: Set[int] = frozenset()) -> ArenaPlan:
    """Buffers one after another into the gaps that the earlier ones leave; those in ``high`` at a gap's upper end."""
    offsets = [0] * count
    placed: list[Life] = []
    for life in order:
        taken = sorted((offsets[x.index], offsets[x.index] + x.size) for x in placed if x.meets(life))
        offsets[life.index] = _tightest_gap(taken, life.size, high=life.index in high)
        placed.append(life)
    return ArenaPlan(tuple(offsets), max((offsets[x.index] + x.size for x in order), default=0))


def _tightest_gap(taken: list[tuple[int, int]], size: int, *, high: bool) -> int:
    """Offset in the smallest hole between the taken ranges (sorted) that has room; else the end of the last."""
    best, best_room, end = -1, 0, 0
    for start, stop in taken:
        room = start - end
        if room >= size and (best < 0 or room < best_room):
            best, best_room = end, room
        end = max(end, stop)
    if best < 0:
        return end
    return best + best_room - size if high else best
