"""What was decided for every layer, and why."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from sparsecc.analyse.plan import Plan
from sparsecc.errors import UserError
from sparsecc.ir.program import Program
from sparsecc.ir.provenance import RECORDS, Provenance
from sparsecc.ir.tensor_type import HALF
from sparsecc.runtime.files import new_file
from sparsecc.text import in_bytes, printable

JSON = dict[str, Any]

#: the way of a comparison with PyTorch that needs no words
HERE = "on this machine"
#: layers that a note names
_NAMED = 4


@dataclass(frozen=True, eq=False)
class Report:
    """The plan, and the kernel chosen for each step.

    Attributes
    ----------
    plan : Plan
    steps : tuple of dict
        One a kernel call: ``key``, ``kind``, ``config``, ``chosen_by`` (``cost model``, ``record`` or ``nearest
        record``; empty for kernels without knobs), ``chosen_from`` (of a record: its time, processor and date; of the
        nearest one, its layer), ``cycles`` (predicted, or None for kernels without knobs), ``expected`` (predicted in
        any case; 0 in libraries of before), ``joined`` (keys of the layers it computes too),
        of a network with codes ``dtype``, that of the result;
        ``joined_by`` and ``joined_from`` (the same about whether it is joined with the window kernel after it; empty
        where there is none).
    target : str
    notes : tuple of str
        What the user should know: warnings and changes made on a copy.
    error : float or None
        Largest difference from the reference relative to the largest output; None when not verified.
    compared : str
        How it was found; without an error, why not. Empty in the report that a library carries.
    figures : str
        Where the cost model's figures are from; empty for those of the target.
    memory_bytes : int
        Weights and one instance's buffers; inputs and outputs are the caller's.
    macs_per_cycle, ghz : float
        Most float32 multiply-adds that one core starts in a cycle, and its clock, by the figures that decided; 0 in
        libraries of before.
    reference : str
        What it was compared with: PyTorch, or of an ONNX file an implementation of that.
    shapes : tuple of dict
        Of a library for several shapes, one for each: ``inputs`` (their sizes), ``kernel_calls``, ``arena_bytes``,
        ``cycles`` (predicted for all steps), ``error`` (as above) and ``compared``; plan and steps are those of the
        first shape. Empty for one shape.
    """

    plan: Plan
    steps: tuple[JSON, ...]
    target: str
    notes: tuple[str, ...]
    error: float | None = None
    figures: str = ""
    memory_bytes: int = 0
    compared: str = ""
    macs_per_cycle: float = 0.0
    ghz: float = 0.0
    reference: str = "PyTorch"
    shapes: tuple[JSON, ...] = ()

    @property
    def accuracy(self) -> str:
        """A line about the comparison with PyTorch; empty where nothing is known of it."""
        if self.error is None:
            return f"not compared with {self.reference}: {self.compared}" if self.compared else ""
        how = f" ({self.compared})" if self.compared not in ("", HERE) else ""
        return f"largest difference from {self.reference}: {self.error:.1e} of the largest output{how}"

    def __str__(self) -> str:
        lines = [str(self.plan), "", f"target {self.target}, {len(self.steps)} kernel calls"]
        if half := sum(layer.dtype == HALF for layer in self.plan.layers):
            lines.append(f"in half precision (float16): {half} of {len(self.plan.layers)} layers, and poolings")
        if self.memory_bytes:
            size = in_bytes(self.memory_bytes)
            lines.append(f"memory of an instance: {size} of weights, which all share, and buffers")
        if self.accuracy:
            lines.append(self.accuracy)
        if self.figures:
            lines.append(f"figures of the cost model: {self.figures}")
        by_record = sum(step.get("chosen_by") in RECORDS for step in self.steps)
        if by_record:
            lines.append(f"configs from records of measurements: {by_record} of {len(self.steps)} kernel calls")
        decided = [step["joined_by"] in RECORDS for step in self.steps if step.get("joined_by")]
        if any(decided):
            lines.append(f"joined with the next layer, or not, by records: {sum(decided)} of {len(decided)} pairs")
        lines += shape_lines(self.shapes)
        lines += [f"note: {note}" for note in self.notes]
        return "\n".join(lines)

    def to_json(self) -> JSON:
        """JSON-ready data."""
        plan = self.plan.to_json()
        for layer in plan["layers"]:
            # which channels form a row is in the library already, and long
            if layer["structure"]:
                layer["structure"].pop("grouping", None)
        return {
            "plan": plan,
            "steps": list(self.steps),
            "target": self.target,
            "notes": list(self.notes),
            "error": self.error,
            "compared": self.compared,
            "figures": self.figures,
            "memory_bytes": self.memory_bytes,
            "macs_per_cycle": self.macs_per_cycle,
            "ghz": self.ghz,
            **({} if self.reference == "PyTorch" else {"reference": self.reference}),
            **({"shapes": list(self.shapes)} if self.shapes else {}),
        }

    def save(self, path: str | os.PathLike[str], *, title: str = "") -> None:
        """Write the report to a file.

        Parameters
        ----------
        path : path
            ``report.html`` for a page to look at, one file that needs no network; ``report.json`` for data, which
            ``sparsecc inspect --beside`` reads; ``report.txt`` for the text.
        title : str
            What the page calls the network; by default by its target.

        Raises
        ------
        UserError
            The suffix is none of these, or the package jinja2, which makes pages, is not installed.
        OutputError
            The file can't be written.
        """
        suffix = Path(path).suffix
        if suffix == ".html":
            from sparsecc.page import Side, write_report

            write_report(path, [Side(title or f"network for {self.target}", self)])
            return
        if suffix not in (".json", ".txt"):
            raise UserError(f"save: found suffix {suffix!r} in {path}, expected .html, .json or .txt")
        text = json.dumps(self.to_json(), indent=1, allow_nan=False) if suffix == ".json" else f"{self}"
        with new_file(path) as file:
            file.write(f"{text}\n".encode("utf-8", "backslashreplace"))

    @classmethod
    def from_json(cls, data: JSON) -> Report:
        """Rebuild what :meth:`to_json` returned."""
        plan, steps, notes = Plan.from_json(data["plan"]), tuple(map(_typed, data["steps"])), tuple(data["notes"])
        return cls(
            plan, steps, data["target"], notes, data["error"], data.get("figures", ""),
            data.get("memory_bytes", 0), data.get("compared", ""), data.get("macs_per_cycle", 0.0),
            data.get("ghz", 0.0), data.get("reference", "PyTorch"), tuple(data.get("shapes", ())),
        )  # fmt: skip


def shape_row(program: Program, report: Report, *, arena_bytes: int) -> JSON:
    """What a report says of one of several shapes."""
    return {
        "inputs": [list(port.shape) for port in program.inputs],
        "kernel_calls": len(program.steps),
        "arena_bytes": arena_bytes,
        "cycles": round(sum(step["expected"] for step in report.steps)),
        "error": report.error,
        "compared": report.compared,
    }


def shape_lines(rows: Sequence[JSON]) -> list[str]:
    """The shapes as lines of text; none where there is only one."""
    return [
        f"shape {i}: {', '.join(sizes_text(sizes) for sizes in row['inputs'])}: {row['kernel_calls']} kernel calls, "
        f"{in_bytes(row['arena_bytes'])} of buffers, {row['cycles'] / 1e6:.2f} M cycles predicted"
        + ("" if row["error"] is None else f", largest difference {row['error']:.1e}")
        for i, row in enumerate(rows)
    ]


def sizes_text(sizes: Sequence[int]) -> str:
    """A shape as people write it."""
    return "x".join(map(str, sizes)) or "one number"


def make_report(
    plan: Plan,
    lowered: Sequence[tuple[Any, Any]],
    target: str,
    notes: Sequence[str],
    figures: str,
    joins: Mapping[str, Any] = MappingProxyType({}),
    *,
    memory_bytes: int = 0,
    macs_per_cycle: float = 0.0,
    ghz: float = 0.0,
    types: Mapping[str, str] = MappingProxyType({}),
) -> Report:
    """Collect the facts of a compilation: nodes with their kernels, and what was decided about joining some of them.

    ``types`` are those of the nodes' results where a network has codes, by key; empty elsewhere.
    """
    steps = tuple(
        {
            "key": node.key,
            "kind": kernel.kind,
            **({"dtype": types[node.key]} if node.key in types else {}),
            "config": dict(kernel.config),
            **_provenance("chosen", kernel.why),
            "cycles": kernel.cycles,
            "expected": kernel.expected,
            "joined": list(kernel.joined),
            **_provenance("joined", joins[node.key].why if node.key in joins else None),
        }
        for node, kernel in lowered
    )
    return Report(
        plan, steps, target, (*notes, *_weight_notes(plan)), figures=figures, memory_bytes=memory_bytes,
        macs_per_cycle=macs_per_cycle, ghz=ghz,
    )  # fmt: skip


def _typed(step: JSON) -> JSON:
    """A step as this version has it: libraries of before have in one text what chose, and where that is from."""
    made: JSON = {"expected": step.get("cycles") or 0.0, **step}
    for by, source in (("chosen_by", "chosen_from"), ("joined_by", "joined_from")):
        if source not in made:
            made[by], _, made[source] = made.get(by, "").partition(": ")
    return made


def _provenance(what: str, why: Provenance | None) -> dict[str, str]:
    return {f"{what}_by": "" if why is None else why.by, f"{what}_from": "" if why is None else why.source}


def _weight_notes(plan: Plan) -> list[str]:
    notes = []
    for layer in plan.layers:
        structure = layer.structure
        if structure is None:
            continue
        if structure.non_finite:
            notes.append(f"layer {printable(layer.name)}: {structure.non_finite} weights are NaN or infinite")
        if structure.denormal:
            notes.append(
                f"layer {printable(layer.name)}: {structure.denormal} weights are denormal; they count as kept"
            )
    return notes


def rearrangement_notes(found: Plan, compiled: Plan) -> list[str]:
    """What became of rows of blocks whose channels are no neighbours in the model.

    Parameters
    ----------
    found : Plan
        As analysed.
    compiled : Plan
        After channels were reordered.
    """
    before, after = _rearranged(found), _rearranged(compiled)
    notes = []
    if moved := [name for name in before if name not in after]:
        notes.append(
            f"output channels were reordered at compile time: rows of blocks became neighbours in "
            f"{len(moved)} of {len(before)} layers"
        )
    if before and after:
        notes.append(f"rows of blocks stay scattered where their channels' order is not free: {_some(after)}")
    return notes


def _rearranged(plan: Plan) -> list[str]:
    return [layer.name for layer in plan.layers if layer.rearranged]


def _some(names: Sequence[str]) -> str:
    return ", ".join(map(printable, names[:_NAMED])) + (
        f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    )
