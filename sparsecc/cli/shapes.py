"""Which of a library's shapes an option names."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable, Sequence

from sparsecc.cli.arguments import shapes_of
from sparsecc.errors import UserError
from sparsecc.runtime.shapes import Shape


def asked_shape(shapes: Sequence[Shape], options: Namespace, *, find: Callable[..., Shape] | None = None) -> Shape:
    """The shape that ``--shape`` and ``--batch`` name, else the first.

    Parameters
    ----------
    shapes : sequence of Shape
        Those that there are programs for.
    options : Namespace
    find : callable, optional
        Finds batches that are run in pieces, too.

    Raises
    ------
    UserError, InputError
        There is no such shape.
    """
    first, wanted = shapes[0], shapes_of(options)
    if wanted is None and not options.batch:
        return first
    if isinstance(wanted, list):
        raise UserError(f"--shape: found {len(wanted)} shapes, expected one to measure")
    known = {port.name: port.shape for port in first.inputs}
    unknown = next((name for name in wanted or {} if name not in known), None)
    if unknown is not None:
        raise UserError(f"--shape: {unknown!r} is no input, expected of: {', '.join(known)}")
    sizes = [(known | (wanted or {}))[name] for name in known]
    if options.batch:
        sizes = [(options.batch[0], *each[1:]) for each in sizes]
    found = next((shape for shape in shapes if list(shape.sizes) == sizes), None)
    if found is not None:
        return found
    if find is None or len(shapes) == 1:
        there = "; ".join(map(str, shapes))
        raise UserError(f"--shape, --batch: found {sizes}, expected one of the library's shapes: {there}")
    return find(*sizes)
