"""Any form of model to one functional ``ExportedProgram`` with static shapes."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

import torch
from torch.export import ExportedProgram

from sparsecc.errors import ModelError, NotSupportedError, SparseccError, first_line
from sparsecc.importer.archive import safe_copy
from sparsecc.importer.checks import (
    as_tensors,
    check_examples,
    check_inputs,
    check_quantized,
    check_types,
    check_weights,
    check_writes,
    user_inputs,
)
from sparsecc.importer.evaluation import check_evaluation_mode, in_evaluation_mode, own_copy
from sparsecc.importer.examples import random_of
from sparsecc.importer.regions import without_regions
from sparsecc.importer.safe_names import with_safe_names

#: prints the traceback of an operator that refuses its operands
_FAKE_TENSORS = "torch._subclasses.fake_tensor"

Model: TypeAlias = torch.nn.Module | ExportedProgram | str | Path


def to_exported(
    model: Model, example_inputs: Sequence[Any] | None
) -> tuple[ExportedProgram, tuple[Any, ...], list[str]]:
    """Export ``model`` in evaluation mode and make its operators functional.

    Parameters
    ----------
    model : torch.nn.Module, ExportedProgram or path of a .pt2 file
    example_inputs : sequence of tensor or array, optional
        Needed for a module; for the others only shapes are checked.

    Returns
    -------
    tuple
        The program, the example inputs (random ones of the program's shapes when none were given) and notes for the
        report.

    Raises
    ------
    ModelError
        A file that can't be read as .pt2, a missing example input, or one of the wrong shape.
    NotSupportedError
        Dynamic shapes, types that no library has, quantized models, anything that ``torch.export`` refuses.
    """
    with _file_named(model):
        return _exported(model, example_inputs)


def _exported(model: Model, example_inputs: Sequence[Any] | None) -> tuple[ExportedProgram, tuple[Any, ...], list[str]]:
    notes: list[str] = []
    inputs = None if example_inputs is None else as_tensors(example_inputs)
    if isinstance(model, torch.nn.Module):
        program = _export_module(model, inputs, notes)
    elif isinstance(model, ExportedProgram):
        program = model
    elif isinstance(model, (str, Path)):
        program = _load(Path(model))
    else:
        raise ModelError(
            f"model: found {type(model).__name__}, "
            "expected a torch.nn.Module, an ExportedProgram or the path of a .pt2 or .onnx file"
        )
    check_inputs(program)
    check_weights(program.state_dict.items())
    if inputs is None:
        inputs = _random_inputs(program)
    check_examples(program, inputs)
    return _functional(program), inputs, notes


def _functional(program: ExportedProgram) -> ExportedProgram:
    """The program in one graph without writes."""
    program = without_regions(with_safe_names(program))
    check_evaluation_mode(program)
    check_writes(program)
    return run_decompositions(program, {})


def run_decompositions(program: ExportedProgram, table: dict[Any, Any]) -> ExportedProgram:
    """The program without writes, and with the operators of ``table`` expressed by others.

    Raises
    ------
    NotSupportedError
        PyTorch fails to do it.
    """
    try:
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return program.run_decompositions(table)
    except Exception as error:
        raise NotSupportedError(
            f"model: PyTorch can't make its exported program functional ({first_line(error)}); "
            "try program.run_decompositions({}) by itself to see why"
        ) from error


def _export_module(model: torch.nn.Module, inputs: tuple[Any, ...] | None, notes: list[str]) -> ExportedProgram:
    if inputs is None:
        raise ModelError("example_inputs: a torch.nn.Module needs them, to know the shapes; pass example_inputs=(x,)")
    check_quantized(model)
    check_weights(model.state_dict().items())
    check_types(inputs)
    if any(m.training for m in model.modules()):
        notes.append("the model was in training mode: a copy in evaluation mode was compiled")
    # PyTorch prints the traceback of an operator that refuses its operands before it raises the error
    silent = _silent(logging.getLogger(_FAKE_TENSORS))
    with in_evaluation_mode(model) as evaluated, torch.no_grad(), silent, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return torch.export.export(evaluated, inputs)
        except Exception as error:
            _check_runs(evaluated, inputs)
            advice = "try torch.export.export(model, inputs) by itself to see why"
            if "in output, which is not a known type" in str(error):
                advice = "return tuples, lists and dicts, or register the class (torch.export.register_dataclass)"
            raise NotSupportedError(f"model: torch.export can't trace it ({first_line(error)}); {advice}") from error


def _check_runs(model: torch.nn.Module, inputs: tuple[Any, ...]) -> None:
    """Tell inputs that the model itself refuses from models that can't be exported."""
    copied = own_copy(model)  # it may count its calls
    try:
        (model if copied is None else copied)(*(x.clone() for x in inputs))
    except Exception as error:
        shapes = ", ".join(f"{x.dtype} {tuple(x.shape)}" for x in inputs) or "none"
        raise ModelError(f"example_inputs: the model fails on them ({shapes}): {first_line(error)}") from error


def load_program(path: Path) -> ExportedProgram:
    """The program in a .pt2 file; errors are those of :func:`to_exported`."""
    with _file_named(path):
        return _load(path)


def _load(path: Path) -> ExportedProgram:
    if not path.exists() or path.is_dir():
        found = "is a folder" if path.is_dir() else "no such file"
        raise ModelError(f"{path}: {found}; expected a .pt2 written by torch.export.save, or an ONNX file")
    copy = safe_copy(path)  # whatever the file is, what PyTorch reads runs no code
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.export.load(copy)


@contextmanager
def _file_named(model: Model) -> Iterator[None]:
    """What a file says wrong may show late: whatever PyTorch then raises becomes an error that names the file."""
    if not isinstance(model, (str, Path)):
        yield
        return
    reasons = _Reasons()
    try:
        with reasons.kept_of(logging.getLogger("torch.export")), _silent(logging.getLogger(_FAKE_TENSORS)):
            yield
    except SparseccError:
        raise
    except Exception as error:
        reason = reasons.first or first_line(error)
        raise ModelError(
            f"{model}: not a .pt2 file that this PyTorch ({torch.__version__}) can read ({reason}); "
            "write it with torch.export.save(torch.export.export(model, inputs), path)"
        ) from error


class _Reasons(logging.Handler):
    """Keeps the errors that PyTorch logs: of some the exception that follows says no more than that they were logged.

    Attributes
    ----------
    first : str
        The first one; empty where there is none.
    """

    first = ""

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        if error is not None and not self.first:
            self.first = f"{type(error).__name__}: {first_line(error)}"

    @contextmanager
    def kept_of(self, logger: logging.Logger) -> Iterator[None]:
        """Keep those of a logger, in the place of whoever would print them."""
        before, logger.propagate = logger.propagate, False
        handlers, logger.handlers = logger.handlers, [self]
        try:
            yield
        finally:
            logger.propagate, logger.handlers = before, handlers


@contextmanager
def _silent(logger: logging.Logger) -> Iterator[None]:
    """PyTorch prints the traceback of a file that it can't read before it raises the error."""
    before, logger.disabled = logger.disabled, True
    try:
        yield
    finally:
        logger.disabled = before


def _random_inputs(program: ExportedProgram) -> tuple[Any, ...]:
    generator = torch.Generator().manual_seed(0)
    return tuple(random_of(node.meta["val"].dtype, node.meta["val"].shape, generator) for node in user_inputs(program))
