"""A compiled network before it is linked into a library."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sparsecc._tvm import IRModule, PrimFunc
from sparsecc.build import MemoryPlan, build_library
from sparsecc.errors import UserError, unforeseen
from sparsecc.ir.channel_order import ChannelOrder
from sparsecc.ir.layout import PlaneLayout
from sparsecc.ir.placed import Placed
from sparsecc.ir.program import Program
from sparsecc.ir.tensor_type import TensorType
from sparsecc.report import Report
from sparsecc.target import Target


@dataclass(frozen=True, eq=False)
class Artefact:
    """Program and machine code, and what the report and verification need.

    Attributes
    ----------
    program : Program
    memory : MemoryPlan
    kernels : bytes
        Object file.
    target : Target
    report : Report
    origins : mapping of str to str
        Key of a step -> node of the exported program with the same value.
    layouts : tuple of PlaneLayout or None
        Of every step's result.
    orders : mapping of str to ChannelOrder
        Key of a step -> order in which its result stores channels, where it is not the network's.
    functions : mapping of str to PrimFunc
        What the kernels were made from.
    types : tuple of TensorType
        Of every step's result.
    placed : Placed or None
        The network itself, where it has tensors of codes: each step is verified by its own reference then.
    module : IRModule or None
        PrimFuncs of its generic operators.
    packings : mapping of str to hashable
        Key of a step -> the order in which its weights lie.
    others : tuple of Artefact
        The same network for other shapes, in the same library: weights and kernels are those of all.
    in_pieces : bool
        Whether batches that have no program may be computed in pieces that have one.
    """

    program: Program
    memory: MemoryPlan
    kernels: bytes
    target: Target
    report: Report
    origins: Mapping[str, str]
    layouts: tuple[PlaneLayout | None, ...]
    orders: Mapping[str, ChannelOrder] = field(default_factory=dict)
    functions: Mapping[str, PrimFunc] = field(default_factory=dict)
    types: tuple[TensorType, ...] = ()
    placed: Placed | None = None
    module: IRModule | None = None
    packings: Mapping[str, Hashable] = field(default_factory=dict)
    others: tuple[Artefact, ...] = ()
    in_pieces: bool = False

    @property
    def shapes(self) -> Any:
        """Of a library for several shapes, what :mod:`~sparsecc.build` must know besides the first one's program."""
        others = [(other.program, other.memory) for other in self.others]
        return {"others": others, "in_pieces": self.in_pieces} if others else {}

    def check_room(self) -> None:
        """Refuse what a board's memory has no room for, beside its system.

        Raises
        ------
        UserError
            With both numbers.
        """
        target, program = self.target, self.program
        ports = sum(port.nbytes for port in (*program.inputs, *program.outputs))
        room, needed = target.room_bytes, self.memory.nbytes + ports
        for other in self.others:
            other.check_room()
        if room and needed > room:
            raise UserError(
                f"target {target.name}: the network needs {needed / 1e6:.0f} MB, expected at most {room / 1e6:.0f} MB "
                f"of the board's {target.memory_bytes / 1e6:.0f} MB; use a smaller image or batch, or prune more"
            )

    @unforeseen("link")
    def link(self, path: Path, *, cc: str | None = None, static: bool = False) -> None:
        """Write the library."""
        build_library(
            self.program, memory=self.memory, kernels=self.kernels, triple=self.target.triple,
            cpu_features=self.target.cpu_features, out=path, cc=cc, static=static, **self.shapes,
        )  # fmt: skip
