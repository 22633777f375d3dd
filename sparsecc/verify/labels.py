"""Verify results that are decided rather than computed: labels, masks, integers made of float32.

Where two numbers are nearly equal, rounding decides which of them is larger, and a label is another one. Such a result
can't be held against PyTorch's by its distance. It is right if what it was decided by is: every layer that PyTorch has
too, within rounding, and PyTorch, given the numbers that the library's layers computed, decides the same.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sparsecc.artefact import Artefact
from sparsecc.errors import VerificationError
from sparsecc.importer import Imported
from sparsecc.verify.compare import Array
from sparsecc.verify.reference import continued
from sparsecc.verify.run import Run
from sparsecc.verify.trace import computed, first_wrong

#: share of a result's elements that may be decided by rounding: of the whole network, of what follows its layers
MOST_DECIDED, _MOST_AFTER = 0.01, 1e-4


def is_decided(array: Array) -> bool:
    """Whether rounding shows in an array by whole steps."""
    return not np.issubdtype(array.dtype, np.floating)


def check_decided(
    found: Sequence[Array], expected: Sequence[Array], artefact: Artefact, imported: Imported, *, tolerance: float,
    run: Run,
) -> tuple[str, ...]:  # fmt: skip
    """Hold labels, masks and integers against PyTorch's; return notes for the report.

    Raises
    ------
    VerificationError
        Some differ, and rounding does not explain it.
    """
    said, few = _differences(found, expected, artefact, most=MOST_DECIDED)
    if not said:
        return ()
    wrong = first_wrong(artefact, imported, tolerance=tolerance, run=run)
    after, few_after = ("", few)
    if few and not wrong:
        again = continued(imported, computed(artefact, imported, run=run))
        after, few_after = _differences(found, again, artefact, most=_MOST_AFTER)
    if wrong or not few_after:
        where = f"given the numbers that its layers computed, in {after}" if after else "no single layer differs"
        raise VerificationError(
            f"the library differs from PyTorch in {said}; {wrong or where}; please report it with the model"
        )
    return (
        f"rounding: {said} differ from PyTorch's; given the numbers that the library's layers computed, which differ "
        f"by rounding, PyTorch has the same{', but for ' + after if after else ''}",
    )


def _differences(
    found: Sequence[Array], expected: Sequence[Array], artefact: Artefact, *, most: float
) -> tuple[str, bool]:
    """How many elements of which results differ, in words, and whether they are a small share."""
    pairs = zip(artefact.program.outputs, found, expected, strict=False)
    counts = [(port.name, int(np.count_nonzero(a != b)), b.size) for port, a, b in pairs if is_decided(b)]
    apart = [(name, count, size) for name, count, size in counts if count]
    said = "; ".join(f"{count} of {size} elements of {name}" for name, count, size in apart)
    return said, all(count <= most * size for _, count, size in apart)
