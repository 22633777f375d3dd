"""What the tests of the whole compiler share: compile a module and hold the result against PyTorch."""

from __future__ import annotations

import ctypes
import mmap
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any
from unittest import mock

import numpy as np
import torch
from numpy.typing import NDArray
from process_folder import folder
from torch import nn
from torch.utils._pytree import tree_leaves

import sparsecc
from sparsecc._codegen import compile_object
from sparsecc._tvm import IRModule
from sparsecc.analyse.layers import LayerPlan
from sparsecc.analyse.plan import Plan
from sparsecc.analyse.structure import find_structure
from sparsecc.artefact import Artefact
from sparsecc.build import plan_memory
from sparsecc.ir.conv import ConvSpec
from sparsecc.ir.epilogue import Epilogue
from sparsecc.ir.graph import FusedConv, Graph, Node
from sparsecc.ir.layer import ConvLayer, Layer, MeanLayer
from sparsecc.ir.program import Port
from sparsecc.kernels.direct_shape import DirectConfig
from sparsecc.lower import direct as lower_conv
from sparsecc.lower.cost.direct_space import direct_space
from sparsecc.lower.table import lower
from sparsecc.options import Options
from sparsecc.pipeline import run
from sparsecc.report import make_report
from sparsecc.rewrite.assemble import assemble
from sparsecc.rewrite.layout import place
from sparsecc.rewrite.winograd import compute_at_once, split_winograd
from sparsecc.target import TARGETS, Target, resolve
from sparsecc.verify.trace import all_outputs

Array = NDArray[Any]
Shape = tuple[int, ...]

#: targets whose code this machine runs; all of them are compiled for in the tests that only read code
RUNNABLE = [name for name, target in TARGETS.items() if target.runs_here()]

_PAGE = mmap.PAGESIZE
_LIBC = ctypes.CDLL(None, use_errno=True)


def guarded(array: Array, *, at_end: bool = True) -> Array:
    """A copy that ends (or begins) at a page of memory that nobody may touch: to overrun it ends the process."""
    room = -(-max(array.nbytes, 1) // _PAGE) * _PAGE
    pages = mmap.mmap(-1, room + 2 * _PAGE)
    start = ctypes.addressof(ctypes.c_char.from_buffer(pages))
    for page in (start, start + _PAGE + room):
        if _LIBC.mprotect(ctypes.c_void_p(page), ctypes.c_size_t(_PAGE), 0):
            raise OSError(ctypes.get_errno(), "mprotect")
    offset = _PAGE + (room - array.nbytes) * at_end
    copy = np.frombuffer(pages, array.dtype, array.size, offset).reshape(array.shape)
    copy[...] = array
    return copy


def random_inputs(*shapes: Shape, seed: int = 0) -> tuple[torch.Tensor, ...]:
    """Normal random tensors, the same on every run."""
    generator = torch.Generator().manual_seed(seed)
    return tuple(torch.randn(shape, generator=generator) for shape in shapes)


def leaves(value: Any) -> list[Any]:
    """Tensors of a result, however they are packed."""
    return list(tree_leaves(value))


def run_strictly(artefact: Artefact, inputs: Sequence[torch.Tensor]) -> list[Array]:
    """Results of a library in which every buffer has memory of its own, full of NaN and between forbidden pages.

    One and three threads must agree bit for bit.
    """
    path = folder() / "strict.so"
    all_outputs(artefact).link(path)
    count, runs = len(artefact.program.outputs), []
    for threads, at_end in ((1, True), (3, False)):
        with sparsecc.load(path, threads=threads) as library:
            given = [guarded(x.detach().numpy(), at_end=at_end) for x in inputs]
            # codes have all bits set
            fills = [np.nan if np.issubdtype(p.dtype, np.floating) else -1 for p in library.outputs]
            results = [
                guarded(np.full(p.shape, fill).astype(p.dtype), at_end=at_end)
                for p, fill in zip(library.outputs, fills, strict=True)
            ]
            library(*given, out=tuple(results))
        runs.append(results[:count])
    for one, three in zip(*runs, strict=True):
        bits = np.int16 if one.dtype == np.float16 else np.int32
        np.testing.assert_array_equal(one.view(bits), three.view(bits))
    return runs[0]


def compiled(
    model: Any, inputs: Sequence[torch.Tensor] | None = None, *, target: str = "native", **options: Any
) -> Artefact:
    """Compile without linking."""
    return run(model, inputs, resolve(target), Options(**options), progress=lambda stage: None)[0]


@torch.no_grad()
def agree(
    model: nn.Module,
    *shapes: Shape,
    inputs: Sequence[torch.Tensor] | None = None,
    form: Callable[[nn.Module, Sequence[torch.Tensor]], Any] = lambda model, inputs: model,
    tolerance: float = 1e-5,
    **options: Any,
) -> Artefact:
    """Compile ``form`` of a model and hold it against PyTorch running the model."""
    given = random_inputs(*shapes) if inputs is None else tuple(inputs)
    model = model.eval()
    artefact = compiled(form(model, given), given, **options)
    expected = leaves(model(*(x.clone() for x in given)))
    found = run_strictly(artefact, given)
    assert [y.shape for y in found] == [tuple(y.shape) for y in expected]
    for y, want in zip(found, expected, strict=True):
        close(y, want.numpy(), tolerance=tolerance)
    return artefact


def kinds(artefact: Artefact) -> list[str]:
    """Kinds of the kernels that a network runs, in order; a convolution is ``direct`` whatever its vectors are."""
    found = [str(step["kind"]) for step in artefact.report.steps]
    return ["direct" if kind == "channel_lanes" else kind for kind in found]


def close(found: Array, expected: Array, *, tolerance: float) -> None:
    """Assert that the largest difference is small relative to the largest expected value; NaN and Inf stay."""
    np.testing.assert_array_equal(np.isfinite(found), np.isfinite(expected))
    scale = float(np.abs(expected[np.isfinite(expected)]).max(initial=0.0)) or 1.0
    finite = np.isfinite(expected)
    np.testing.assert_allclose(found[finite] / scale, expected[finite] / scale, rtol=0, atol=tolerance)
    np.testing.assert_array_equal(found[~finite], expected[~finite])


_PLAIN = Epilogue()


@dataclass(frozen=True, eq=False)
class Job:
    """One kernel to run by itself: no importer, no cost model.

    ``rows`` are the rows of blocks of a sparse kernel, None for a dense one. ``pick`` chooses among the legal configs
    of the direct kernel. With a ``halo`` the result is stored for a reader that needs that much zero padding, which
    then appears in the output. ``patches`` hold while the job is lowered: (dotted name, value). With a ``tile`` a
    convolution is computed by Winograd's algorithm, in output tiles of that side; ``at_once`` by the kernel of few
    channels.
    """

    layer: Layer
    inputs: tuple[Array, ...]
    rows: Array | None = None
    pick: Callable[[list[DirectConfig]], DirectConfig] | None = None
    halo: tuple[int, int, int, int] | None = None
    epilogue: Epilogue = _PLAIN
    patches: tuple[tuple[str, Any], ...] = ()
    tile: int | None = None
    at_once: bool = False


def run_jobs(jobs: Sequence[Job], *, target: str = "native") -> list[Array]:
    """Result of every job; all kernels run from one library, strictly."""
    resolved = resolve(target)
    graph, plans, by_key = _job_graph(jobs)
    tiles = {key: job.tile for key, job in by_key.items() if job.tile is not None}
    at_once = {key for key, job in by_key.items() if job.at_once}
    sparse = {key for key, job in by_key.items() if job.rows is not None}
    placed = place(split_winograd(compute_at_once(graph, at_once), tiles, sparse=sparse))
    lowered = [(node, _lower_job(node, placed, plans, by_key, resolved)) for node in placed.nodes]
    ports = ("x", graph.inputs), ("y", graph.outputs)
    inputs, outputs = (
        tuple(Port(f"{name}{i}", graph.shapes[t], graph.type_of(t).dtype) for i, t in enumerate(tensors))
        for name, tensors in ports
    )
    assembled = assemble("jobs", placed, lowered, inputs=inputs, outputs=outputs)
    kernels = compile_object(assembled.functions, resolved.llvm).data
    program = replace(assembled.program, description={"target": resolved.name})
    report = make_report(Plan(()), lowered, resolved.name, (), "")
    artefact = Artefact(program, plan_memory(program), kernels, resolved, report, {}, ())
    return run_strictly(artefact, [torch.from_numpy(x.copy()) for job in jobs for x in job.inputs])


def _job_graph(jobs: Sequence[Job]) -> tuple[Graph, dict[str, LayerPlan], dict[str, Job]]:
    shapes: list[tuple[int, ...]] = []
    nodes, inputs, outputs, plans, by_key = [], [], [], {}, {}

    def tensor(shape: tuple[int, ...]) -> int:
        shapes.append(shape)
        return len(shapes) - 1

    for i, job in enumerate(jobs):
        key = f"job{i}"
        sources = tuple(tensor(x.shape) for x in job.inputs)
        inputs += sources
        result = tensor(_result_shape(job))
        is_conv = isinstance(job.layer, ConvLayer)
        nodes.append(Node(key, FusedConv(job.layer, job.epilogue) if is_conv else job.layer, sources, result))
        plans[key], by_key[key] = _job_plan(key, job), job
        if job.halo is not None:
            reader = _copy_with_padding(f"{key}_reader", shapes[result], job.halo, dtype=job.layer.dtype)
            padded = tensor((*shapes[result][:2], reader.spec.oh, reader.spec.ow))
            nodes.append(Node(reader.key, FusedConv(reader, _PLAIN), (result,), padded))
            plans[reader.key] = _job_plan(reader.key, Job(reader, ()))
            result = padded
        outputs.append(result)
    types = {
        tensor: kind
        for node in nodes
        for tensor, kind in zip((*node.inputs, node.output), node.operator.types, strict=False)
    }
    return Graph(tuple(shapes), tuple(nodes), tuple(inputs), tuple(outputs), types), plans, by_key


def _result_shape(job: Job) -> tuple[int, ...]:
    layer = job.layer
    if isinstance(layer, MeanLayer):
        return (layer.n, layer.c, 1, 1)
    return (layer.spec.n, layer.spec.oc, layer.spec.oh, layer.spec.ow)


def _copy_with_padding(key: str, shape: tuple[int, ...], halo: tuple[int, int, int, int], *, dtype: str) -> ConvLayer:
    n, c, h, w = shape
    weight = np.eye(c, dtype=np.float32).reshape(c, c, 1, 1)
    return ConvLayer(key, key, ConvSpec(n, c, h, w, c, padding=halo), weight, np.zeros(c, np.float32), dtype=dtype)


def _job_plan(key: str, job: Job) -> LayerPlan:
    layer = job.layer
    if not isinstance(layer, ConvLayer) or job.rows is None:
        spec = layer.spec if isinstance(layer, ConvLayer) else ConvSpec(1, 1, 1, 1, 1)
        return LayerPlan(key, key, "conv", spec, None, "dense", "asked for", tile=job.tile)
    structure = replace(find_structure(layer.weight, groups=layer.spec.groups), grouping=job.rows)
    return LayerPlan(key, key, "conv", layer.spec, structure, "sparse", "asked for", tile=job.tile)


def _lower_job(node: Any, placed: Any, plans: Any, by_key: dict[str, Job], target: Target) -> Any:
    job = by_key.get(node.key)
    with ExitStack() as stack:
        if job is not None and job.pick is not None:
            pick = job.pick
            choose = lambda work, target: pick(list(direct_space(work, target)))  # noqa: E731
            stack.enter_context(mock.patch.object(lower_conv, "best_config", choose))
        for name, value in job.patches if job is not None else ():
            stack.enter_context(mock.patch(name, value))
        return lower(node, placed, IRModule({}), plans, target)
