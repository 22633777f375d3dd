"""Results against PyTorch's: equal, equal but for rounding, or wrong."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from sparsecc.artefact import Artefact
from sparsecc.errors import VerificationError
from sparsecc.importer import Imported
from sparsecc.report import HERE
from sparsecc.runtime import Library
from sparsecc.verify.compare import Array, Distances, distances, relative_error
from sparsecc.verify.labels import check_decided, is_decided
from sparsecc.verify.reference import exact, is_finite, reference
from sparsecc.verify.run import Run, linked, outputs
from sparsecc.verify.steps import check_steps
from sparsecc.verify.trace import first_difference

_LARGER = "pass a larger tolerance (verify=, on the command line --tolerance)"


@dataclass(frozen=True)
class Verified:
    """What was found.

    Attributes
    ----------
    error : float or None
        Largest difference of an output relative to its largest expected value; None where nothing could be run.
    compared : str
        How; without an error, why not.
    notes : tuple of str
        For the report.
    reference : str
        Whose results they were held against.
    """

    error: float | None
    compared: str
    notes: tuple[str, ...] = ()
    reference: str = "PyTorch"


def check(library: Library, artefact: Artefact, imported: Imported, *, tolerance: float, cc: str | None) -> Verified:
    """Run library and PyTorch on the example.

    The library runs on NaN first, so that a kernel which reads what the run before left in memory is found out.

    Raises
    ------
    VerificationError
        A difference is above ``tolerance`` and no rounding; the message names the first layer that differs.
    """
    found = outputs(library, imported)
    return judge(found, artefact, imported, tolerance=tolerance, run=linked(imported, cc=cc), compared=HERE)


def judge(
    found: Sequence[Array], artefact: Artefact, imported: Imported, *, tolerance: float, run: Run, compared: str
) -> Verified:
    """Hold results for the example against PyTorch's; ``run`` is what made them. Raises as :func:`check` does.

    Those of a network that came from an ONNX file are held against another implementation of that: PyTorch's would say
    nothing of how the file was translated. Where they differ, each operator's translation is held against ONNX's own.
    Of a network of codes, whose results may differ, every step is held against its reference, too.
    """
    if imported.onnx is None:
        return _judge(found, artefact, imported, tolerance=tolerance, run=run, compared=compared)
    from sparsecc.verify.onnx import first_wrong_step, onnx_results  # whose package not everybody has

    strict = is_finite(imported)
    who, own = onnx_results(imported.onnx)
    theirs = [form.of(torch.from_numpy(array)).numpy() for form, array in zip(imported.forms, own, strict=True)]
    error = _largest(found, theirs, strict=strict)
    is_coded = artefact.placed is not None
    if error <= tolerance and not is_coded:
        return Verified(error, compared, reference=who)
    wrong = first_wrong_step(imported.onnx, tolerance=tolerance) if error > tolerance else ""
    if wrong:
        raise VerificationError(
            f"the library differs from {who} by {error:.1e} of the largest output, more than {tolerance:.1e}; {wrong}; "
            f"{_report()}"
        )
    verified = _judge(found, artefact, imported, tolerance=tolerance, run=run, compared=compared)
    if is_coded:
        return replace(verified, error=error, reference=who)
    note = (
        f"results differ from those of {who} by {error:.1e}, more than {tolerance:.1e}, but not from PyTorch's, and "
        "every operator was translated to what ONNX's reference evaluator makes of the same inputs: rounding that the "
        f"network amplifies, or an approximation of {who}'s"
    )
    return replace(verified, notes=(*verified.notes, note))


def _largest(found: Sequence[Array], expected: Sequence[Array], *, strict: bool) -> float:
    return max(relative_error(one, other, strict=strict) for one, other in zip(found, expected, strict=True))


def _judge(
    found: Sequence[Array], artefact: Artefact, imported: Imported, *, tolerance: float, run: Run, compared: str
) -> Verified:
    """Against PyTorch's alone.

    Where a network has codes of 8 bits, values beside the middle between two codes fall to either side, and no result
    has to be near PyTorch's. There every step is held against its own reference; in half precision, too, whose rounding
    a network may amplify.
    """
    strict, expected = is_finite(imported), reference(imported)
    half = artefact.placed is not None and artefact.placed.is_half
    coded = half or (imported.has_codes and artefact.placed is not None)
    decided = [is_decided(other) and not coded for other in expected]
    errors = [
        0.0 if is_label else relative_error(one, other, strict=strict)
        for one, other, is_label in zip(found, expected, decided, strict=True)
    ]
    error = max(errors)
    if coded and artefact.placed is not None:
        example = [x.numpy() for x in imported.example]
        note = check_steps(artefact, artefact.placed, example, tolerance=tolerance, run=run)
        return Verified(
            error, compared, (note, *([_half_note(error, tolerance)] if half and error > tolerance else []))
        )
    if error <= tolerance:
        labels = check_decided(found, expected, artefact, imported, tolerance=tolerance, run=run)
        return Verified(error, compared, labels)
    doubles = exact(imported)
    apart = [] if doubles is None else [
        distances(*three, strict=strict)
        for *three, off in zip(found, expected, doubles, errors, strict=True)
        if off > tolerance
    ]  # fmt: skip
    worst = max(apart, key=lambda distance: distance.ours, default=None)
    if worst is not None and all(distance.is_rounding for distance in apart):
        labels = check_decided(found, expected, artefact, imported, tolerance=tolerance, run=run)
        return Verified(error, compared, (_note(error, tolerance, worst), *labels))
    raise VerificationError(
        f"the library differs from PyTorch by {error:.1e} of the largest output, more than {tolerance:.1e}"
        f"{_where(compared)}; {first_difference(artefact, imported, tolerance=tolerance, run=run)}; {_advice(worst)}"
    )


def _half_note(error: float, tolerance: float) -> str:
    return (
        f"half precision: results differ from PyTorch's float32 by {error:.1e} of the largest output, more than "
        f"{tolerance:.1e}, though no kernel does: the network amplifies rounding; compile without dtype='float16' "
        "(--fp16) if that is too much"
    )


def _where(compared: str) -> str:
    return "" if compared == HERE else f" ({compared})"


def _note(error: float, tolerance: float, worst: Distances) -> str:
    return (
        f"rounding: results differ from PyTorch's float32 by {error:.1e}, more than {tolerance:.1e}, but from float64 "
        f"by {worst.ours:.1e} and PyTorch's own by {worst.own:.1e}: the network amplifies rounding errors (often batch "
        "norm over channels without variance)"
    )


def _advice(worst: Distances | None) -> str:
    """What to do about a difference: a network that amplifies rounding errors shows it in PyTorch's own results."""
    if worst is None:
        return f"the model can't run in float64, which would tell rounding from errors; {_report()}"
    apart = f"it is {worst.ours:.1e} from float64, PyTorch's float32 {worst.own:.1e}"
    if worst.is_amplified:
        return (
            f"{apart}, so the network itself amplifies rounding errors (often batch norm over channels without "
            f"variance); {_LARGER}, or winograd=False, which rounds less"
        )
    return f"{apart}; {_report()}"


def _report() -> str:
    return f"please report it with the model, or {_LARGER}"
