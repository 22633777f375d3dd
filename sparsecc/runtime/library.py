"""A compiled network as a Python callable."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from sparsecc.errors import LibraryError, UserError, missing_package
from sparsecc.runtime.arguments import (
    apart,
    check_inputs,
    check_results,
    is_container,
    is_flat,
    new_results,
    warn_of_gradients,
)
from sparsecc.runtime.arrays import address, is_tensor
from sparsecc.runtime.binding import Instance
from sparsecc.runtime.image import Image, open_image
from sparsecc.runtime.ports import Port
from sparsecc.runtime.shapes import Shape, Shapes, reported, shapes_of, sizes_of, steps_of
from sparsecc.runtime.stored_report import StoredReport
from sparsecc.runtime.structure import parse_structure
from sparsecc.runtime.thread_count import asked_threads
from sparsecc.untrusted.numbers import as_int

if TYPE_CHECKING:
    from sparsecc.pytorch.module import LibraryModule


class Library:
    """A loaded network. Call it with the network's inputs; :func:`sparsecc.load` makes one.

    It may be used from several threads: runs of one ``Library`` wait for each other, runs of two do not. It works in
    forked children, and pickles as the path it was loaded from. Its copies, shallow and deep ones, share its code and
    weights, whatever became of the file; each has threads and buffers of its own.

    Parameters
    ----------
    path : str or path
        The shared library.
    threads : int, optional
        Threads of a run, the caller's included. By default the library chooses: ``$SPARSECC_THREADS``, else the cores
        that it may use; all libraries of the process share these.
    """

    def __init__(self, path: str | os.PathLike[str], *, threads: int | None = None) -> None:
        self._begin(Path(path).absolute(), open_image(path), threads)

    def _begin(self, path: Path, image: Image, threads: int | None) -> None:
        self.path, self._image = path, image
        self._instance: Instance | None = self._first_instance()
        self._shapes = shapes_of(self.description)
        self._inputs, self._outputs = self._shapes[0].inputs, self._shapes[0].outputs
        self._finder: Shapes | None = None
        if len(self._shapes) > 1:
            self._finder = Shapes(self._shapes, pieces=lambda *asked: self._live().pieces(*asked), library=image.name)
        self._structure = parse_structure(self.description["structure"], outputs=len(self._outputs))
        self._set_threads(threads)

    @property
    def inputs(self) -> tuple[Port, ...]:
        """Name, shape and dtype of every input; of several shapes, the first one's."""
        return self._inputs

    @property
    def outputs(self) -> tuple[Port, ...]:
        """Name, shape and dtype of every output; of several shapes, the first one's."""
        return self._outputs

    @property
    def shapes(self) -> tuple[Shape, ...]:
        """The shapes that it has programs for, with their inputs and outputs; one, unless it was compiled for more."""
        return self._shapes

    def shape_of(self, *sizes: Sequence[int]) -> Shape:
        """The shape of a call with inputs of these sizes: one of :attr:`shapes`, or a batch that is run in pieces.

        Raises
        ------
        InputError
            There is none; the message lists those that there are. With one shape it is that one.
        """
        found = tuple(tuple(map(int, each)) for each in sizes)
        return self._shapes[0] if self._finder is None else self._finder.find(found)

    @property
    def description(self) -> dict[str, Any]:
        """Everything the library knows about itself."""
        return self._image.description

    @property
    def target(self) -> str:
        """What the library was compiled for."""
        return str(self.description["target"])

    @property
    def meta(self) -> dict[str, str | list[str]]:
        """What the caller of ``compile`` had to say of the network: its version, its classes."""
        return dict(self.description.get("meta", {}))

    @property
    def report(self) -> StoredReport | None:
        """What was decided for every layer and why, if the library carries it; ``print`` shows it as a table."""
        found = self.description.get("report")
        return None if found is None else StoredReport(found, library=str(self.path))

    def report_of(self, shape: Shape) -> StoredReport | None:
        """The report with the steps of one of several shapes; its plan is that of the first one."""
        found = self.description.get("report")
        if found is None:
            return None
        return StoredReport(reported(self.description, shape), library=str(self.path))

    @property
    def threads(self) -> int:
        """Threads of a run, at most; set it to change them, 0 for the library's own choice."""
        return self._threads

    @threads.setter
    def threads(self, threads: int) -> None:
        self._set_threads(threads)

    def __call__(self, *inputs: Any, out: Any = None) -> Any:
        """Run the network.

        Parameters
        ----------
        *inputs : array or tensor
            One for each of :attr:`inputs`: NumPy, torch (CPU), or anything with ``__array__`` or ``__dlpack__``. Of
            several :attr:`shapes` theirs is run; a batch that has none is run in pieces that have one.
        out : array or tensor, a tuple of them, or a structure like the result, optional
            Memory for the results; in a tuple in the order of :attr:`outputs`.

        Returns
        -------
        array or tensor, or a dict, list or tuple of more of these
            What the model returns: torch tensors if an input is one, else NumPy, or the arrays of ``out`` as they were
            given. Mappings and dataclasses come as dicts, lists as lists, tuples and named ones as tuples, None as
            None.

        Raises
        ------
        InputError
            An argument does not fit; the message names it.

        Warns
        -----
        GradientWarning
            An input requires a gradient while PyTorch records them: results have none.
        """
        shape, given = self._given(inputs)
        warn_of_gradients(inputs, self._inputs, library=self._image.name)
        if out is None:
            results = new_results(shape.outputs, tensors=any(map(is_tensor, inputs)))
        else:
            results = check_results(out, shape.outputs, self._structure, library=self._image.name)
            given = [apart(value, results) for value in given]
        self._ready().run(list(map(address, given)), list(map(address, results)), shape)
        if is_flat(out):
            return tuple(results)
        return self._structure.pack(results) if out is None or is_container(out) else out

    def profile(self, *inputs: Any, runs: int = 10) -> list[tuple[str, float]]:
        """Key and median seconds of every step, over ``runs`` runs after one to warm up."""
        count = as_int(runs)
        if count is None or count < 1:
            raise UserError(f"profile: found runs={runs!r}, expected a whole number of at least 1")
        shape, given = self._given(inputs)
        if shape.batch:
            raise UserError(f"profile: a batch of {shape.batch} is run in pieces; profile one of: {self._listed()}")
        results = new_results(shape.outputs, tensors=False)
        keys = [str(step["key"]) for step in steps_of(self.description, shape)]
        addresses = list(map(address, given)), list(map(address, results))
        times = [self._ready().profile(*addresses, steps=len(keys), shape=shape) for _ in range(count + 1)]
        return [(key, median(step)) for key, step in zip(keys, zip(*times[1:], strict=True), strict=True)]

    def pack(self, results: Sequence[Any]) -> Any:
        """What a call returns, of its results one by one in the order of :attr:`outputs`."""
        return self._structure.pack(results)

    def as_module(self) -> LibraryModule:
        """The library as a ``torch.nn.Module``, for ``torch.export``, ``torch.compile`` and larger models.

        It is one operator to PyTorch, and has no gradient. UserError without PyTorch.
        """
        try:
            from sparsecc.pytorch.module import LibraryModule
        except ModuleNotFoundError as error:
            raise missing_package(error) from None

        return LibraryModule(self)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the library to a file."""
        self._image.save(path)

    def close(self) -> None:
        """Free memory and threads (after the runs that are under way). The library can't be called any more."""
        self._instance = None

    def __enter__(self) -> Library:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def __reduce__(self) -> tuple[Any, ...]:
        return _load_again, (str(self.path), self._asked)

    def __copy__(self) -> Library:
        twin = type(self).__new__(type(self))
        twin._begin(self.path, self._image, self._asked)
        return twin

    def __deepcopy__(self, memo: object) -> Library:
        return self.__copy__()

    def __repr__(self) -> str:
        name, target = self.description["name"], self.target
        ins = ", ".join(f"{p.name}{list(p.shape)}" for p in self._inputs)
        outs = ", ".join(f"{p.name}{list(p.shape)}" for p in self._outputs)
        more = f", {len(self._shapes)} shapes" if self._finder else ""
        return f"<sparsecc library {name}({ins}) -> {outs}{more}, target {target}, {self._threads} thread(s)>"

    def _first_instance(self) -> Instance:
        return Instance(self._image)

    def _ready(self) -> Instance:
        """The instance that runs."""
        return self._live()

    def _live(self) -> Instance:
        if self._instance is None:
            raise LibraryError(f"{self.path}: the library is closed; load it again")
        return self._instance

    def _given(self, inputs: tuple[Any, ...]) -> tuple[Shape, list[Any]]:
        shape = self._shapes[0] if self._finder is None else self._finder.find(tuple(map(sizes_of, inputs)))
        return shape, check_inputs(inputs, shape.inputs, library=self._image.name)

    def _listed(self) -> str:
        return "; ".join(map(str, self._shapes))

    def _set_threads(self, threads: int | None) -> None:
        asked = asked_threads(threads)
        self._threads = self._live().set_threads(asked)
        self._asked = asked  # copies choose as this one did: a number, or anew


def load(path: str | os.PathLike[str], *, threads: int | None = None) -> Library:
    """Load a library that sparsecc compiled.

    Parameters
    ----------
    path : str or path
        The shared library. It is copied into memory: the file may be changed or removed afterwards.
    threads : int, optional
        Threads of a run. By default the library chooses: ``$SPARSECC_THREADS``, else the cores that it may use; all
        libraries of the process share these.

    Raises
    ------
    UserError
        ``threads`` is no number of threads, or ``$SPARSECC_THREADS`` is none and would decide.
    LibraryError
        The file is missing, damaged, not a library of ours, or for another processor.
    """
    return Library(path, threads=threads)


def _load_again(path: str, threads: int) -> Library:
    return Library(path, threads=threads)
