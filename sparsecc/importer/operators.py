"""The table of operators: ATen name -> how it is translated."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import fx

from sparsecc.importer import arithmetic, layers, linear, norms, padding, sequences, shapes, upsampling, volumes
from sparsecc.importer.arguments import arguments
from sparsecc.importer.attention import attention
from sparsecc.importer.codes import CODES
from sparsecc.importer.context import Context
from sparsecc.importer.elementwise import ELEMENTWISE
from sparsecc.importer.functions import FUNCTIONS
from sparsecc.importer.grid import GRID
from sparsecc.importer.idioms import Recognise
from sparsecc.importer.indexing import INDEXING
from sparsecc.importer.integers import INTEGER as INTEGER_ARITHMETIC
from sparsecc.importer.l2_pool import l2_pool
from sparsecc.importer.labels import LABELS
from sparsecc.importer.logic import LOGIC
from sparsecc.importer.norm_idioms import divided_norm, multiplied_norm, norm_between_permutations
from sparsecc.importer.put import PUT
from sparsecc.importer.reductions import REDUCTIONS
from sparsecc.importer.resizing import RESIZING
from sparsecc.importer.running import RUNNING
from sparsecc.importer.scatter import SCATTER
from sparsecc.importer.sorting import SORTING
from sparsecc.ir.epilogue import Activation
from sparsecc.kernels import activation

Translate = Callable[[Context, fx.Node], Any]
TranslateLayer = Callable[[Context, fx.Node, Any], Any]


def _activation(name: str) -> Translate:
    kinds = {kind: function.forms[name] for kind, function in activation.ACTIVATIONS.items() if name in function.forms}
    defaults = next(iter(kinds.values())).defaults

    def translate(ctx: Context, node: fx.Node) -> Any:
        values = arguments(node, 1 + len(defaults), [None, *defaults])[1:]
        found = ((kind, form.constants(*values)) for kind, form in kinds.items())
        kind, constants = next((kind, constants) for kind, constants in found if constants is not None)
        return ctx.activation(node, Activation(kind, constants), ctx.value(node.args[0]))

    return translate


#: layers with kernels of their own that may take a following batch norm
FOLDING: dict[str, TranslateLayer] = {
    "conv2d.default": layers.conv2d,
    "conv2d.padding": layers.conv2d,
    "conv_transpose2d.input": layers.conv_transpose2d,
    "conv1d.default": sequences.conv1d,
    "conv1d.padding": sequences.conv1d,
    "conv_transpose1d.default": sequences.conv_transpose1d,
    **volumes.FOLDING,
    "linear.default": linear.linear,
    "addmm.default": linear.addmm,
    "mm.default": linear.mm,
}

#: layers with kernels of their own that may not
LAYERS: dict[str, TranslateLayer] = {
    "max_pool2d.default": layers.max_pool2d,
    "max_pool2d_with_indices.default": layers.max_pool2d_with_indices,
    "avg_pool2d.default": layers.avg_pool2d,
    "adaptive_avg_pool2d.default": layers.adaptive_avg_pool2d,
    "_adaptive_avg_pool2d.default": layers.adaptive_avg_pool2d,
    "adaptive_max_pool2d.default": layers.adaptive_max_pool2d,
    "max_pool1d.default": sequences.max_pool1d,
    "avg_pool1d.default": sequences.avg_pool1d,
    "adaptive_avg_pool1d.default": sequences.adaptive_avg_pool1d,
    "adaptive_max_pool1d.default": sequences.adaptive_max_pool1d,
    "mean.default": layers.mean,
    "mean.dim": layers.mean,
    **volumes.LAYERS,
    "layer_norm.default": norms.layer_norm,
    "native_layer_norm.default": norms.native_layer_norm,
    "group_norm.default": norms.group_norm,
    "native_group_norm.default": norms.native_group_norm,
    "rms_norm.default": norms.rms_norm,
}

#: last operator of layers that are several -> what recognises them
IDIOMS: dict[str, Recognise] = {
    "pow.Tensor_Scalar": l2_pool,
    "permute.default": norm_between_permutations,
    "div.Tensor": divided_norm,
    "mul.Tensor": multiplied_norm,
}

ACTIVATIONS: dict[str, Translate] = {
    name: _activation(name) for function in activation.ACTIVATIONS.values() for name in function.forms
}

ARITHMETIC: dict[str, Translate] = {
    "add.Tensor": arithmetic.add,
    "add.Scalar": arithmetic.add,
    "sub.Tensor": arithmetic.subtract,
    "sub.Scalar": arithmetic.subtract,
    "rsub.Tensor": arithmetic.subtract_from,
    "rsub.Scalar": arithmetic.subtract_from,
    "mul.Tensor": arithmetic.multiply,
    "mul.Scalar": arithmetic.multiply,
    "div.Tensor": arithmetic.divide,
    "div.Scalar": arithmetic.divide,
    "true_divide.Tensor": arithmetic.divide,
}

SHAPES: dict[str, Translate] = {
    "alias.default": shapes.identity,
    "clone.default": shapes.identity,
    "contiguous.default": shapes.identity,
    "detach.default": shapes.identity,
    "dropout.default": shapes.identity,
    "feature_dropout.default": shapes.identity,
    "lift_fresh_copy.default": shapes.identity,
    "prelu.default": shapes.prelu,
    "_prelu_kernel.default": shapes.prelu,
    "softmax.int": shapes.softmax,
    "_softmax.default": shapes.softmax,
    "log_softmax.int": shapes.log_softmax,
    "_log_softmax.default": shapes.log_softmax,
    "scaled_dot_product_attention.default": attention,
    "split.Tensor": shapes.split,
    "split_with_sizes.default": shapes.split,
    "chunk.default": shapes.split,
    "slice.Tensor": shapes.slice_,
    "select.int": shapes.select,
    "cat.default": shapes.concat,
    "concat.default": shapes.concat,
    "view.default": shapes.reshape,
    "_unsafe_view.default": shapes.reshape,
    "reshape.default": shapes.reshape,
    "flatten.using_ints": shapes.reshape,
    "unflatten.int": shapes.reshape,
    "squeeze.default": shapes.reshape,
    "squeeze.dim": shapes.reshape,
    "squeeze.dims": shapes.reshape,
    "unsqueeze.default": shapes.reshape,
    "permute.default": shapes.permute,
    "transpose.int": shapes.transpose,
    "pixel_shuffle.default": shapes.pixel_shuffle,
    "pad.default": padding.pad,
    "constant_pad_nd.default": padding.pad,
    "upsample_nearest2d.vec": upsampling.upsample_nearest,
    "upsample_nearest2d.default": upsampling.upsample_nearest,
    "upsample_bilinear2d.vec": upsampling.upsample_bilinear,
    "upsample_bilinear2d.default": upsampling.upsample_bilinear,
}

#: operators that only move elements, or take the largest of some: codes in the place of values give the same
MOVES: frozenset[str] = frozenset(
    {
        "alias.default", "clone.default", "contiguous.default", "detach.default", "dropout.default",
        "slice.Tensor", "select.int", "cat.default", "concat.default", "view.default", "_unsafe_view.default",
        "reshape.default", "flatten.using_ints", "unflatten.int", "squeeze.default", "squeeze.dim", "squeeze.dims",
        "unsqueeze.default", "permute.default", "transpose.int", "pixel_shuffle.default", "max_pool2d.default",
        "max_pool1d.default",
    }
)  # fmt: skip
#: the same, of several results
SPLITS: frozenset[str] = frozenset({"split.Tensor", "split_with_sizes.default", "chunk.default"})

#: operators that are translated one by one
TABLES: tuple[dict[str, Translate], ...] = (
    LABELS, SORTING, ACTIVATIONS, ARITHMETIC, CODES, ELEMENTWISE, FUNCTIONS, REDUCTIONS, RUNNING, LOGIC, SHAPES,
    INDEXING, SCATTER, PUT, GRID, RESIZING,
)  # fmt: skip

#: operators that may give integers, but for codes
INTEGER: frozenset[str] = frozenset({*LABELS, *SORTING, *INTEGER_ARITHMETIC})

#: operators that compute truth values, or move them; 0 or 1 between kernels
TRUTH: frozenset[str] = frozenset(
    {
        *LOGIC, *INDEXING, *SCATTER, *PUT, "any.default", "any.dim", "any.dims", "all.default",
        "all.dim", "all.dims", "add.Tensor", "mul.Tensor", "maximum.default", "minimum.default", "alias.default",
        "clone.default", "contiguous.default", "detach.default", "lift_fresh_copy.default", "split.Tensor",
        "split_with_sizes.default", "chunk.default", "slice.Tensor", "select.int", "cat.default", "concat.default",
        "view.default", "_unsafe_view.default", "reshape.default", "flatten.using_ints", "unflatten.int",
        "squeeze.default", "squeeze.dim", "squeeze.dims", "unsqueeze.default", "permute.default", "transpose.int",
        "expand.default", "repeat.default", "stack.default",
    }
)  # fmt: skip

#: taken over from Relax' importer as they are: arithmetic without surprises, checked in the tests
FROM_RELAX: frozenset[str] = frozenset(
    {
        "maximum.default", "minimum.default", "abs.default", "neg.default",
        "exp.default", "sqrt.default", "rsqrt.default", "pow.Tensor_Scalar", "square.default",
        "expand.default", "repeat.default", "stack.default", "matmul.default", "bmm.default",
        "erf.default", "log.default", "reciprocal.default",
    }
)  # fmt: skip

#: passed over: they compute nothing
IGNORED: frozenset[str] = frozenset({"_assert_tensor_metadata.default"})
