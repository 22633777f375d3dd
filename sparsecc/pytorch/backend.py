"""``torch.compile(model, backend="sparsecc")``: graphs of Dynamo's run in compiled libraries, or in PyTorch.

Dynamo looks through modules, so parameters and buffers arrive as inputs of a graph. They are put back as constants when
the graph is called for the first time with a shape, and compared, by identity and version, at every call.
"""

from __future__ import annotations

import threading
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from sparsecc.errors import FallbackWarning, InputError, NotSupportedError, OutputError, SparseccError
from sparsecc.pytorch.graph import Bound, are_weights, bind, key_of
from sparsecc.pytorch.kept import META, find, keep, most_bytes
from sparsecc.pytorch.options import BackendOptions, backend_options
from sparsecc.version import VERSION

if TYPE_CHECKING:
    from sparsecc.runtime import Library

#: libraries that one graph may have made, for other shapes and other weights
MOST_LIBRARIES = 16


def sparsecc(
    graph: torch.fx.GraphModule, example_inputs: Sequence[Any], *, options: Mapping[str, Any] | None = None
) -> Served:
    """The backend: what Dynamo calls instead of the graph.

    Parameters
    ----------
    graph : GraphModule
    example_inputs : sequence of tensor or int
        What it will be called with for the first time.
    options : mapping, optional
        Options of :func:`sparsecc.compile`: ``target``, ``threads``, ``keep_dense``, ``min_speedup``, ``winograd``,
        ``max_growth``, ``schedules``, ``verify``, ``cc``.

    Raises
    ------
    UserError
        An option is unknown or has a value that it can't have, or ``$SPARSECC_CACHE_BYTES`` is no number.
    """
    most_bytes()  # better to know before a compilation
    return Served(graph, are_weights(example_inputs), backend_options(options))


@dataclass(frozen=True)
class _Ready:
    """A library for one shape of the inputs, and the weights it has."""

    library: Library
    bound: Bound
    weights: tuple[tuple[torch.Tensor, int, int], ...]

    def fits(self, weights: Sequence[torch.Tensor]) -> bool:
        """Whether nobody replaced or changed a weight; changes through ``.data`` are not seen."""
        return all(
            now is then and now.data_ptr() == address and _version(now) == version
            for now, (then, address, version) in zip(weights, self.weights, strict=True)
        )


class Served:
    """A graph, run by libraries where that is possible.

    Attributes
    ----------
    made : int
        Libraries that were compiled or taken from the disk.
    """

    def __init__(self, graph: torch.fx.GraphModule, weights: Sequence[bool], options: BackendOptions) -> None:
        self._graph, self._are_weights, self._options = graph, tuple(weights), options
        self._ready: dict[tuple[Any, ...], _Ready] = {}
        self._lock = threading.Lock()
        self._refused = False
        self._said = False
        self.made = 0

    def __call__(self, *arguments: Any) -> Any:
        """Run the graph."""
        if self._refused:
            return self._graph(*arguments)
        reason = self._reason_against(arguments)
        if reason:
            return self._in_pytorch(arguments, reason)
        inputs = [a for a, w in zip(arguments, self._are_weights, strict=True) if not w]
        weights = [a for a, w in zip(arguments, self._are_weights, strict=True) if w]
        shapes = tuple((a.shape, a.dtype) if isinstance(a, torch.Tensor) else a for a in inputs)
        ready = self._ready.get(shapes)
        if ready is None or not ready.fits(self._all_weights(weights)):
            try:
                ready = self._make(shapes, arguments, self._all_weights(weights))
            except SparseccError as error:
                self._refused = True
                return self._in_pytorch(arguments, str(error))
        try:
            found = ready.library(*(a for a in inputs if isinstance(a, torch.Tensor)))
        except InputError as error:  # tensors of a layout that Dynamo does not look at
            return self._in_pytorch(arguments, str(error))
        return ready.bound.pack(found if isinstance(found, tuple) else (found,))

    def _all_weights(self, given: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        return [*given, *self._graph.parameters(), *self._graph.buffers()]

    def _reason_against(self, arguments: Sequence[Any]) -> str:
        """Why this call can't be served; empty if it can."""
        tensors = [a for a in arguments if isinstance(a, torch.Tensor)]
        if any(type(t) not in (torch.Tensor, torch.nn.Parameter) for t in tensors):
            return "its inputs are of a class of their own"
        if any(t.device.type != "cpu" for t in tensors):
            return "its tensors are not on the CPU"
        if torch.is_grad_enabled() and any(t.requires_grad for t in self._all_weights(tensors)):
            return "PyTorch records gradients, which a library has none of; call it within torch.no_grad()"
        if all(w for a, w in zip(arguments, self._are_weights, strict=True) if isinstance(a, torch.Tensor)):
            return "it has no inputs but weights"
        return ""

    def _in_pytorch(self, arguments: Sequence[Any], reason: str) -> Any:
        if not self._said:
            self._said = True
            text = f"torch.compile: a graph of {len(self._graph.graph.nodes)} nodes runs in PyTorch: {reason}"
            warnings.warn(text, FallbackWarning, stacklevel=3)
        return self._graph(*arguments)

    def _make(self, shapes: tuple[Any, ...], arguments: Sequence[Any], weights: Sequence[torch.Tensor]) -> _Ready:
        with self._lock:
            ready = self._ready.get(shapes)
            if ready is not None and ready.fits(weights):
                return ready
            if self.made == MOST_LIBRARIES:
                raise NotSupportedError(f"{MOST_LIBRARIES} libraries were made of it, for other shapes or weights")
            seen = tuple((weight, weight.data_ptr(), _version(weight)) for weight in weights)
            with torch.inference_mode(mode=False), torch.no_grad():
                bound = bind(self._graph, [_ordinary(a) for a in arguments], self._are_weights)
                library = compiled(bound, self._options)
            self.made += 1
            self._ready[shapes] = made = _Ready(library, bound, seen)
            return made


def compiled(bound: Bound, options: BackendOptions) -> Library:
    """The library of a graph, from the disk if it was compiled before.

    Raises
    ------
    SparseccError
        It can't be compiled.
    """
    key = key_of(bound, VERSION, torch.__version__, *options.facts())
    library = find(key, threads=options.threads)
    if library is not None:
        return library
    from sparsecc.compiled import compile

    made = compile(
        bound.module, options.target, example_inputs=bound.inputs, meta={META: key}, **options.chosen
    ).library
    try:
        keep(key, made)
    except OutputError as error:  # a compilation that can't be kept serves all the same
        warnings.warn(str(error), FallbackWarning, stacklevel=2)
    return made


def _ordinary(value: Any) -> Any:
    """A tensor that PyTorch can trace with."""
    return value.clone() if isinstance(value, torch.Tensor) and value.is_inference() else value


def _version(tensor: torch.Tensor) -> int:
    """How often a tensor was written to; those made in inference mode don't count."""
    return 0 if tensor.is_inference() else tensor._version
