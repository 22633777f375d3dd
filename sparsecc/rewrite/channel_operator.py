"""Follow channels through a generic operator, block by block."""

from __future__ import annotations

from collections.abc import Sequence

from sparsecc.rewrite.channel_blocks import Block, Loop
from sparsecc.rewrite.channels import Axis, Classes, Part


class OperatorChannels:
    """Axes of channels of an operator's buffers.

    A block keeps channels in their places if one loop walks over all of them, wherever the block reads them, and its
    counter serves for nothing else. Constants that this loop reads, one number a channel, are then reordered too. A
    concatenation puts the channels of its parts one after another. What does anything else with channels fixes them.

    Parameters
    ----------
    classes : Classes
    axes : sequence of Axis or None
        Of every parameter, the result last.
    constants : sequence of int
        Parameters that are constants.
    """

    def __init__(self, classes: Classes, axes: Sequence[Axis | None], constants: Sequence[int]) -> None:
        self._classes = classes
        self._known: dict[int, Axis | None] = {i: axis for i, axis in enumerate(axes) if i not in constants}
        self._constants = frozenset(constants)
        self._result = len(axes) - 1
        self._written: set[int] = set()
        self._plain: set[int] = set()
        #: constant -> its axis of channels
        self.constants: dict[int, Axis] = {}

    def run(self, blocks: Sequence[Block] | None) -> Axis | None:
        """Follow all blocks (None: nothing is known of them) and return the result's axis."""
        for block in blocks or ():
            self._write(block.target, self._through(block))
        if blocks is None:
            self._classes.fix(*self._known.values())
        self._classes.fix(*(axis for constant, axis in self.constants.items() if constant in self._plain))
        return self._known.get(self._result)

    def _write(self, buffer: int, axis: Axis | None) -> None:
        if buffer in self._written:
            self._classes.tie([self._known[buffer], axis])
        self._written.add(buffer)
        self._known[buffer] = axis

    def _through(self, block: Block) -> Axis | None:
        """The axis of what a block writes."""
        read = {buffer: axis for buffer in block.loads if (axis := self._channels(buffer)) is not None}
        places = {(buffer, axis.axis) for buffer, axis in read.items()}
        if places & {(piece.buffer, piece.axis) for piece in block.joins}:
            return self._join(block)
        over = [loop for loop in block.loops if places & set(loop.reads)]
        if len(over) != 1 or not self._keeps_places(block, over[0], read):
            self._classes.fix(*read.values())
            self._plain.update(self._constants & block.loads.keys())
            return None
        loop = over[0]
        self._classes.tie(read.values())
        one = next(iter(read.values()))
        for buffer in self._constants & block.loads.keys():
            self._read_constant(block, loop, buffer, one)
        return None if loop.writes is None else Axis(loop.writes, one.parts)

    def _channels(self, buffer: int) -> Axis | None:
        """A buffer's channels, if there are several to be reordered."""
        axis = self._known.get(buffer)
        return axis if axis is not None and axis.size > 1 else None

    def _keeps_places(self, block: Block, loop: Loop, read: dict[int, Axis]) -> bool:
        places = {(buffer, axis.axis) for buffer, axis in read.items()}
        is_known = all(place in places or place[0] in self._constants for place in loop.reads)
        always = all(
            loop.reads.count((buffer, axis.axis)) == block.loads[buffer] and loop.extent == axis.size
            for buffer, axis in read.items()
        )
        return loop.is_index and is_known and always

    def _read_constant(self, block: Block, loop: Loop, buffer: int, like: Axis) -> None:
        axes = {axis for found, axis in loop.reads if found == buffer}
        if not axes:
            self._plain.add(buffer)
            return
        axis = Axis(min(axes), like.parts)
        known = self.constants.setdefault(buffer, axis)
        if len(axes) > 1 or loop.reads.count((buffer, axis.axis)) != block.loads[buffer] or known.axis != axis.axis:
            self._plain.add(buffer)
        self._classes.tie([known, axis])

    def _join(self, block: Block) -> Axis:
        self._plain.update(self._constants & block.loads.keys())
        parts: list[Part] = []
        for piece in block.joins:
            axis = self._known.get(piece.buffer)
            if axis is None or axis.axis != piece.axis:
                self._classes.fix(axis)
                axis = Axis(piece.axis, (self._classes.new(piece.extent),))
                self._classes.fix(axis)
            parts += axis.parts
        return Axis(block.joined, tuple(parts))
