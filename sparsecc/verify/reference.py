"""PyTorch's results, in float32 and in float64."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import fx
from torch.export import ExportedProgram
from torch.export.graph_signature import OutputKind

from sparsecc.importer import Imported
from sparsecc.ir.layer import convolutions
from sparsecc.ir.on_disk import forget, in_parts

Array = NDArray[Any]


def _first_of_equal_ones(x: Any, k: int, dim: int = -1, largest: bool = True, _sorted: bool = True) -> Any:
    values, places = torch.sort(x, dim=dim, descending=largest, stable=True)
    return (values.narrow(dim, 0, k), places.narrow(dim, 0, k)) if x.ndim else (values, places)


#: operators of which PyTorch leaves something open -> the same without that: what it computes may lie in another order
#: in memory than the exporter expected, and of equal elements any may come first
_DEFINED: dict[Any, Callable[..., Any]] = {
    torch.ops.aten.view.default: torch.ops.aten.reshape.default,
    torch.ops.aten.topk.default: _first_of_equal_ones,
    torch.ops.aten.sort.default: lambda x, dim=-1, descending=False: torch.sort(
        x, dim=dim, descending=descending, stable=True
    ),
}
_WIDER = {torch.float32: torch.float64}


def reference(imported: Imported) -> tuple[Array, ...]:
    """Results for the example, in the order of the library's outputs."""
    program = imported.original
    return _numpy(_run(imported, program, _Interpreter(program.graph_module)), program)


def exact(imported: Imported) -> tuple[Array, ...] | None:
    """The same in float64; None for a program that has an operator which refuses it."""
    program = imported.original
    try:
        return _numpy(_run(imported, program, _Double(program.graph_module)), program)
    except Exception:  # an operator that was not made for float64 may raise anything
        return None


def continued(imported: Imported, values: Mapping[str, Array]) -> tuple[Array, ...]:
    """Results that PyTorch has where some nodes of the exported program have these values, by their names."""
    program = imported.program
    return _numpy(_run(imported, program, _Continued(program.graph_module, values)), program)


def intermediates(imported: Imported) -> Mapping[str, Array]:
    """Value of every node of the exported program, by the node's name."""
    found: dict[str, Array] = {}
    _run(imported, imported.program, _Interpreter(imported.program.graph_module, found.__setitem__))
    return found


def exact_intermediates(imported: Imported) -> Mapping[str, Array]:
    """The same in float64; of a program that has an operator which refuses it, what comes before."""
    found: dict[str, Array] = {}
    with contextlib.suppress(Exception):  # as above
        _run(imported, imported.program, _Double(imported.program.graph_module, found.__setitem__))
    return found


def is_finite(imported: Imported) -> bool:
    """No layer has weights or biases that are NaN or infinite."""
    layers = convolutions(imported.layers.values())
    # some channels at a time: large layers have no room for a truth value for each of their weights
    return all(
        all(np.isfinite(layer.weight[part]).all() for part in in_parts(layer.weight, len(layer.weight)))
        and bool(np.isfinite(layer.bias).all())
        for layer in layers
    )


class _Interpreter(fx.Interpreter):  # type: ignore[misc]  # torch's types are not followed
    """Runs the program as it is: weights are shared with it, and results are freed after their last use.

    Memory has those weights that are on disk no longer than their operator runs.
    """

    def __init__(self, module: fx.GraphModule, record: Callable[[str, Array], None] | None = None) -> None:
        super().__init__(module)
        self._record = record

    def call_function(self, target: Any, args: Any, kwargs: Any) -> Any:
        return super().call_function(_DEFINED.get(target, target), args, kwargs)

    def run_node(self, n: fx.Node) -> Any:
        result = super().run_node(n)
        if self._record is not None and isinstance(result, torch.Tensor):
            self._record(n.name, result.detach().numpy())
        for source in n.all_input_nodes:
            if isinstance(self.env.get(source), torch.Tensor):
                forget(self.env[source].detach().numpy())
        return result


class _Continued(_Interpreter):
    """Takes values for what it would compute."""

    def __init__(self, module: fx.GraphModule, values: Mapping[str, Array]) -> None:
        super().__init__(module)
        self._values = values

    def run_node(self, n: fx.Node) -> Any:
        result = super().run_node(n)
        given = self._values.get(n.name)
        return result if given is None else torch.from_numpy(given.reshape(tuple(result.shape)).copy())


class _Double(_Interpreter):
    """Runs it in float64, whatever constants it has; weights are widened where they are used, one after another."""

    def fetch_args_kwargs_from_env(self, n: fx.Node) -> Any:
        return fx.node.map_aggregate(super().fetch_args_kwargs_from_env(n), _wider)


def _wider(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        return value.double() if value.dtype in _WIDER else value
    return _WIDER.get(value, value) if isinstance(value, torch.dtype) else value


def _run(imported: Imported, program: ExportedProgram, interpreter: _Interpreter) -> Any:
    signature = program.graph_signature
    lifted = {**program.constants, **program.state_dict}
    names = {**signature.inputs_to_parameters, **signature.inputs_to_buffers}
    names.update(signature.inputs_to_lifted_tensor_constants)
    example = iter(imported.example)
    arguments = [
        lifted[names[node.name]] if node.name in names else next(example)
        for node in program.graph.nodes
        if node.op == "placeholder"
    ]
    with torch.no_grad():
        return interpreter.run(*arguments)


def _numpy(results: Any, program: ExportedProgram) -> tuple[Array, ...]:
    specs = program.graph_signature.output_specs
    pairs = zip(results, specs, strict=True)
    returned = (result for result, spec in pairs if spec.kind is OutputKind.USER_OUTPUT)
    return tuple(result.detach().numpy() for result in returned if isinstance(result, torch.Tensor))
