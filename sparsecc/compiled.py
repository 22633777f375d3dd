"""``sparsecc.compile``, and what it returns: what most users need."""

from __future__ import annotations

import copy
import os
import pickle
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sparsecc.analyse.impose import pattern_of
from sparsecc.analyse.plan import Plan
from sparsecc.artefact import Artefact
from sparsecc.build import header_of
from sparsecc.deploy import write_folder
from sparsecc.errors import LibraryError, UserError
from sparsecc.finished import finished
from sparsecc.fitted import resolve_fitted
from sparsecc.importer import requests_of
from sparsecc.ir.program import Port
from sparsecc.keywords import explained
from sparsecc.options import Options
from sparsecc.pipeline import network_name
from sparsecc.report import Report
from sparsecc.restore import restore
from sparsecc.runtime import Library
from sparsecc.runtime.files import check_writable, is_folder, new_file
from sparsecc.runtime.shapes import Shape, same_ports
from sparsecc.several import run_requests
from sparsecc.target import Target, check_dtype
from sparsecc.target.native.cpu import processor_of
from sparsecc.target.records.lookup import find_records
from sparsecc.verify import computes_apart
from sparsecc.version import VERSION

if TYPE_CHECKING:
    from sparsecc.pytorch.module import LibraryModule

Progress = Callable[[str], None]
#: sizes of a model's inputs: by name, of the only one, or of all in their order
Shapes = Mapping[str, Sequence[int]] | Sequence[int] | Sequence[Sequence[int]]


class Compiled:
    """A compiled network: call it, read its :attr:`report`, save it.

    On a machine that can run the target it behaves like the :class:`sparsecc.Library` it wraps; elsewhere it can only
    be saved. It pickles with all that it has, by itself or in a module that is saved by ``torch.save``, so it takes
    about twice the room of its weights; where PyTorch and TVM are not installed, a pickle gives the ``Library`` alone.
    Copies share code and weights.
    """

    def __init__(self, artefact: Artefact, library: Library | None, *, report: Report, cc: str | None) -> None:
        self._artefact, self._library, self._cc = artefact, library, cc
        self.report = report

    @property
    def plan(self) -> Plan:
        """Structure and decision of every layer."""
        return self.report.plan

    @property
    def target(self) -> str:
        """Name of the target."""
        return self._artefact.target.name

    def __call__(self, *inputs: Any, out: Any = None) -> Any:
        """Run the network; see :meth:`sparsecc.Library.__call__`."""
        return self.library(*inputs, out=out)

    @property
    def library(self) -> Library:
        """The loaded library; LibraryError where this machine can't run the target."""
        if self._library is None:
            raise LibraryError(f"this machine can't run code for {self.target}; save the library and load it there")
        return self._library

    @property
    def inputs(self) -> tuple[Port, ...]:
        """Name, shape and dtype of every input."""
        return self._artefact.program.inputs

    @property
    def outputs(self) -> tuple[Port, ...]:
        """Name, shape and dtype of every output."""
        return self._artefact.program.outputs

    @property
    def shapes(self) -> tuple[Shape, ...]:
        """The shapes that there are programs for; see :attr:`sparsecc.Library.shapes`."""
        made = self._artefact
        programs = [made.program, *(other.program for other in made.others)]
        return tuple(Shape(i, same_ports(p.inputs), same_ports(p.outputs)) for i, p in enumerate(programs))

    @property
    def meta(self) -> dict[str, str | list[str]]:
        """What ``compile`` was given as ``meta``."""
        return dict(self._artefact.program.description.get("meta", {}))

    def as_module(self) -> LibraryModule:
        """The library as a ``torch.nn.Module``; see :class:`sparsecc.Library`."""
        return self.library.as_module()

    def profile(self, *inputs: Any, runs: int = 10) -> list[tuple[str, float]]:
        """Key and median seconds of every step; see :meth:`sparsecc.Library.profile`."""
        return self.library.profile(*inputs, runs=runs)

    def save(self, path: str | os.PathLike[str], *, progress: Progress | None = None) -> None:
        """Write the library and, beside it, its C header: both, or when one can't be written, none.

        Parameters
        ----------
        path : path
            ``model.so`` for a shared library, ``model.a`` for a static one; the header has the suffix ``.h``. A folder
            (one that is there, or a path that ends with ``/``) gets all that a board needs: both libraries, header,
            examples in C and C++, a loader for Python with NumPy alone, a static program that times the network, and a
            README with the commands.
        progress : callable, optional
            Called with what is linked as it begins: for a folder each program takes seconds.

        Raises
        ------
        OutputError
            A file can't be written; those that were there stay as they are.
        UserError
            It is no folder, and the suffix is neither ``.so`` nor ``.a``.
        """
        if is_folder(path):
            write_folder(self._artefact, Path(path), cc=self._cc, progress=progress)
            return
        path = Path(path)
        if path.suffix not in (".so", ".a"):
            raise UserError(f"save: found suffix {path.suffix!r} in {path}, expected .so, .a, or a folder such as out/")
        check_writable(path)
        with new_file(path.with_suffix(".h")) as header:
            made = self._artefact
            text = header_of(made.program, memory=made.memory, triple=made.target.triple, **made.shapes)
            header.write(text.encode())
            header.flush()  # a full disk shows now; after the library is in place only the header's name is missing
            self._write(path)

    def _write(self, path: Path) -> None:
        if path.suffix == ".so" and self._library is not None:
            self._library.save(path)
        else:
            self._artefact.link(path, cc=self._cc, static=path.suffix == ".a")

    def __reduce__(self) -> tuple[Any, ...]:
        state = {name: value for name, value in vars(self).items() if name != "_library"}
        return restore, (VERSION, pickle.dumps(type(self)), pickle.dumps(state, pickle.HIGHEST_PROTOCOL), self._library)

    def __copy__(self) -> Compiled:
        twin = type(self).__new__(type(self))
        vars(twin).update(vars(self))
        return twin

    def __deepcopy__(self, memo: object) -> Compiled:
        twin = self.__copy__()
        twin._library = copy.copy(self._library)  # threads and buffers of its own; the rest never changes
        return twin

    def __repr__(self) -> str:
        return repr(self._library) if self._library else f"<sparsecc network for {self.target}, not loaded>"


@explained
def compile(
    model: Any,
    target: str | Target = "native",
    *,
    example_inputs: Sequence[Any] | None = None,
    shapes: Shapes | Sequence[Shapes] | None = None,
    batch: int | Sequence[int] | None = None,
    threads: int | None = None,
    verify: bool | float = True,
    keep_dense: Sequence[str] = (),
    min_speedup: float = 1.05,
    winograd: bool = True,
    max_growth: float | None = None,
    name: str = "model",
    dump: str | os.PathLike[str] | None = None,
    cc: str | None = None,
    schedules: str | os.PathLike[str] | None = "shipped",
    impose: tuple[int, float] | None = None,
    meta: Mapping[str, str | Sequence[str]] | None = None,
    layout: str = "nchw",
    ports: str = "float",
    dtype: str = "float32",
    progress: Progress | None = None,
) -> Compiled:
    """Compile a network to a standalone library.

    Parameters
    ----------
    model : torch.nn.Module, torch.export.ExportedProgram, or path of a .pt2 or .onnx file
        Float32 weights, fixed shapes. A module in training mode is compiled as a copy in evaluation mode.
    target : str or Target
        ``"native"`` for this machine; ``"x86-64-v3"`` (AVX2), ``"x86-64-v4"`` (AVX-512), ``"aarch64"``, ``"armv7"``,
        ``"rpi2"``, ``"rpi3"``, ``"rpi3-32"``, ``"rpi-zero2"``, ``"rpi4"``, ``"rpi4-32"``, ``"rpi5"``,
        ``"cortex-a55"``, ``"cortex-a73"``, ``"cortex-a78"`` or ``"neoverse-n1"``, see ``sparsecc targets``, each also
        with ``-musl`` or ``-android24``; or the path of a ``.json`` file of facts. With ``SPARSECC_FIT_SECONDS=60`` in
        the environment ``"native"`` takes as long the first time to fit the cost model to an unknown processor.
    example_inputs : sequence of tensor, optional
        Needed for a module: they give the shapes. They are also what the result is verified with.
    shapes : mapping of str to sequence of int, or a sequence of these, optional
        Sizes of inputs that an ONNX file or an exported program leaves open: ``{"images": (1, 3, 224, 224)}``, or the
        sizes alone of an only input. With several, ``[(1, 3, 224, 224), (1, 3, 320, 320)]``, the library has a program
        for each, and one set of weights; a call runs the one of its inputs' shape.
    batch : int or sequence of int, optional
        Leading dimension of all inputs, or several: ``batch=(1, 2, 4, 8)``. Batches that are not among them are run in
        pieces that are, where the network computes each image by itself.
    threads : int, optional
        Threads of a run of what is returned; by default its own choice, as with :func:`sparsecc.load`.
    verify : bool or float
        Compare with PyTorch (an ONNX file: with ONNX Runtime): largest error relative to the largest output; True is
        1e-4, of half precision 2e-3. Code for another machine runs in an emulator (``qemu-aarch64``, ``qemu-arm``) on
        the PATH, else its kernels are built for this machine too and run here.
    keep_dense : sequence of str
        Layers to leave dense: names, or shell patterns such as ``"head.*"``.
    min_speedup : float
        A layer becomes sparse when the cost model predicts at least this speed-up over dense.
    winograd : bool
        Compute 3x3 convolutions by Winograd's algorithm where that is predicted to be faster. Their weights take up to
        four times the space, and rounding errors grow: to about 3e-6 of a layer's largest output.
    max_growth : float, optional
        The library's weights take at most so many times the space that they would take without Winograd's algorithm: 1
        or more. The layers that gain least for a byte are given back to smaller tiles, or to the direct kernel.
    name : str
        Prefix of the library's C functions; networks in one C program need different ones.
    dump : path, optional
        Folder for what every stage made, to look at; it is checked, too.
    cc : str, optional
        C compiler to link with; by default ``$SPARSECC_CC``, else ``ziglang``.
    schedules : path, ``"shipped"`` or None
        Records of measurements that choose configs: a file that :func:`sparsecc.tune` wrote, those that come with
        sparsecc for the target (default), or none, which leaves all to the cost model.
    impose : tuple of int and float, optional
        ``(N, sparsity)``: put a 1xN pattern on a copy of the weights first, to see the speed before training. Blocks
        of least L1 norm are pruned; the first convolution, depthwise ones and the last linear layer stay dense.
    meta : mapping of str to str or sequence of str, optional
        What else the library is to carry, here (``lib.meta``) and in C: ``{"model_version": "3", "classes": [...]}``.
    layout : str
        ``"nchw"``, or ``"nhwc"``: all images in and out have their channels last. Examples are the model's own.
    ports : str
        ``"codes"``: a quantized network takes and gives 8-bit codes (``lib.inputs`` has scale and zero point).
    dtype : str
        ``"float16"``: half precision, where the target computes with it; inputs and outputs stay float32.
    progress : callable, optional
        Called with the name of every stage as it begins.

    Returns
    -------
    Compiled

    Raises
    ------
    UserError
        The model, the target, an option or the C compiler is not usable; the message says what to change.
    NotSupportedError
        An operator, a type or a dynamic shape that sparsecc does not compile; the message names the layer.
    VerificationError
        The result differs from PyTorch by more than rounding; the message names the first layer.
    """
    options = Options(
        threads=threads, verify=verify, keep_dense=keep_dense, min_speedup=min_speedup, winograd=winograd,
        max_growth=max_growth, name=name, dump=None if dump is None else Path(dump), cc=cc, schedules=schedules,
        impose=pattern_of(impose), meta=meta, layout=layout, ports=ports, dtype=dtype,
    )  # fmt: skip
    tell = progress or (lambda stage: None)
    resolved, figures = resolve_fitted(target, cc=cc, progress=tell)
    check_dtype(resolved, options.dtype)
    records = find_records(options.schedules, resolved, cpu=processor_of(target))
    artefact, imported = run_requests(
        requests_of(model, example_inputs, shapes, batch), resolved, options, progress=tell, figures=figures,
        records=records, name=network_name(model), in_pieces=computes_apart,
    )  # fmt: skip
    artefact, library, report = finished(artefact, imported, options, tell=tell)
    return Compiled(artefact, library, report=report, cc=cc)
