"""``sparsecc run``: a library on arrays in files."""

from __future__ import annotations

import os
import zipfile
from argparse import ArgumentParser, Namespace
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from sparsecc.cli import arguments
from sparsecc.cli.compiler import refuse_no_library
from sparsecc.cli.console import print_json, say, stdout
from sparsecc.cli.units import shape_text
from sparsecc.errors import InputError, UserError
from sparsecc.runtime import Library, load
from sparsecc.runtime.files import check_writable, new_file
from sparsecc.untrusted import available_bytes, open_file

Array = NDArray[Any]

SUMMARY = "run a library on .npy files"
DESCRIPTION = """\
Run a library: inputs and outputs are .npy files, in the order in which 'sparsecc inspect' lists them. One output file
called .npz takes all outputs, under their names.
"""
EPILOG = """\
examples:
  sparsecc run model.so --input x.npy --output y.npy
  sparsecc run model.so --input left.npy --input right.npy --output boxes.npy --output scores.npy
  sparsecc run model.so --input x.npy --output all.npz
  sparsecc run model.so --input x.npy --output y.npy --threads 1
"""


def configure(parser: ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("library", type=Path, metavar="MODEL.so", help="compiled library")
    for option, what in (("--input", "array to read"), ("--output", "file to write")):
        parser.add_argument(
            option,
            type=Path,
            action="append",
            required=True,
            metavar="FILE.npy",
            help=f"{what}; again for each further one",
        )
    arguments.add_threads(parser, use="the run")
    arguments.add_json(parser)


def execute(options: Namespace) -> int:
    """Read, run, write."""
    _check_outputs(options.output)
    refuse_no_library(options.library)
    inputs = [_read(path) for path in options.input]
    with load(options.library, threads=options.threads) as library:
        ports = library.shape_of(*(x.shape for x in inputs)).outputs
        paths = options.output * len(ports) if _is_archive(options.output) else options.output
        if len(paths) != len(ports):
            raise UserError(_wrong_count(library, len(paths)))
        results = library(*inputs, out=tuple(np.empty(port.shape, port.dtype) for port in ports))
        _write(paths, {port.name: array for port, array in zip(ports, results, strict=True)})
        rows = [
            {"path": str(path), "name": port.name, "shape": list(port.shape), "dtype": port.dtype}
            for path, port in zip(paths, ports, strict=True)
        ]
    _print(rows, as_json=options.json)
    return 0


def _check_outputs(paths: Sequence[Path]) -> None:
    """Find out before the run what would make writing fail."""
    for i, path in enumerate(paths):
        if any(os.path.abspath(path) == os.path.abspath(other) for other in paths[:i]):
            raise UserError(f"--output: {path} is given twice; each output needs a file of its own")
        check_writable(path)


def _is_archive(paths: Sequence[Path]) -> bool:
    """Whether there is one file for all outputs."""
    found = [path for path in paths if path.suffix == ".npz"]
    if found and len(paths) > 1:
        raise UserError(f"--output: {found[0]} takes all outputs; give it alone, or a .npy file for each output")
    return bool(found)


def _read(path: Path) -> Array:
    try:
        with open_file(path, most_bytes=available_bytes()) as file:
            array = np.load(file, allow_pickle=False)
    except OSError as error:
        raise InputError(f"{path}: can't be read: {error.strerror or error}; expected a .npy file") from error
    except Exception as error:  # whatever NumPy and Python's parser raise on a header that is none
        raise InputError(f"{path}: not a .npy file of numbers; write it with numpy.save") from error
    if not isinstance(array, np.ndarray):
        raise InputError(f"{path}: an archive of several arrays; give each as a .npy file of its own")
    return array


def _wrong_count(library: Library, found: int) -> str:
    names = ", ".join(port.name for port in library.outputs)
    return f"--output: found {found} file(s), expected {len(library.outputs)} ({names}), or one .npz file for all"


def _write(paths: Sequence[Path], arrays: Mapping[str, Array]) -> None:
    """All of them or, when one can't be written, none."""
    if _is_archive(paths[:1]):
        _write_archive(paths[0], arrays)
        return
    with ExitStack() as stack:
        for path, array in zip(paths, arrays.values(), strict=True):
            file = stack.enter_context(new_file(path))
            _write_array(file, array)
            file.flush()  # a full disk shows before the first of them is in place


def _write_archive(path: Path, arrays: Mapping[str, Array]) -> None:
    """What numpy.savez writes; that function takes no array called ``file``."""
    with new_file(path) as file, zipfile.ZipFile(file, "w", allowZip64=True) as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                _write_array(member, array)


def _write_array(file: IO[bytes], array: Array) -> None:
    np.lib.format.write_array(file, array, allow_pickle=False)  # type: ignore[no-untyped-call, unused-ignore]


def _print(rows: list[dict[str, Any]], *, as_json: bool) -> None:
    if as_json:
        print_json({"outputs": rows})
        return
    for row in rows:
        say(stdout(), f"wrote {row['path']}: {row['name']}, {row['dtype']} {shape_text(row['shape'])}")
