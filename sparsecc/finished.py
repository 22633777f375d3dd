"""From a compiled network to a library that was linked, loaded and compared with PyTorch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from sparsecc.artefact import Artefact
from sparsecc.build.spill import release, spilled
from sparsecc.errors import unforeseen
from sparsecc.importer import Imported
from sparsecc.options import Options
from sparsecc.report import Report
from sparsecc.runtime.carried import CarriedLibrary
from sparsecc.runtime.scratch import scratch_folder
from sparsecc.verify import Verified, verify_compiled


def finished(
    artefact: Artefact, imported: Sequence[Imported], options: Options, *, tell: Callable[[str], None]
) -> tuple[Artefact, CarriedLibrary | None, Report]:
    """Link, load and verify; ``imported`` is what each shape's program was made of, the first one's first.

    Returns
    -------
    tuple
        What is left of the network: no more than a link needs; the library, None where this machine can't run it; and
        the report with the results of the comparison.

    Raises
    ------
    UserError, VerificationError
        As :func:`sparsecc.compile` says.
    """
    artefact.check_room()
    tell("link")
    library = None
    if artefact.target.runs_here():
        with scratch_folder() as folder:
            artefact = _linked(artefact, folder / f"{options.name}.so", options)
            library = CarriedLibrary(folder / f"{options.name}.so", threads=options.threads)
    programs = [replace(artefact, others=()), *artefact.others]
    if options.tolerance is None:
        found = [Verified(None, "verify=False") for _ in programs]
    else:
        tell("verify")
        with unforeseen("verify"):
            found = [
                verify_compiled(library, one, source, tolerance=options.tolerance, cc=options.cc)
                for one, source in zip(programs, imported, strict=True)
            ]
    report = _with_results(artefact.report, found)
    return _bare(replace(artefact, others=tuple(map(_bare, artefact.others)))), library, report


def _with_results(report: Report, found: Sequence[Verified]) -> Report:
    """The report with the largest error of all shapes, and that of each."""
    worst = max(found, key=lambda one: -1.0 if one.error is None else one.error)
    rows = tuple(
        {**row, "error": one.error, "compared": one.compared} for row, one in zip(report.shapes, found, strict=False)
    )
    notes = dict.fromkeys(note for one in found for note in one.notes)
    return replace(
        report, error=worst.error, compared=worst.compared, reference=worst.reference, shapes=rows,
        notes=(*report.notes, *notes),
    )  # fmt: skip


def _bare(artefact: Artefact) -> Artefact:
    return replace(artefact, functions={}, placed=None, module=None)


def _linked(artefact: Artefact, path: Path, options: Options) -> Artefact:
    """Write the library, which has the weights then: the network needs them in memory no more."""
    artefact.link(path, cc=options.cc)
    release()
    weights = spilled(artefact.program.weights)
    others = tuple(replace(one, program=replace(one.program, weights=weights)) for one in artefact.others)
    return replace(artefact, program=replace(artefact.program, weights=weights), others=others)
