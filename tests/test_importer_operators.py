"""Every operator, alone and among others, held against PyTorch on tiny networks."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from helpers import agree, close, compiled, leaves, random_inputs, run_strictly
from operator_cases import NETWORK_SHAPES, OPERATORS, TABLES, OperatorCase, Together
from torch import Tensor, nn

from sparsecc.importer import import_model, operators
from sparsecc.importer.batchnorm import BATCH_NORMS


@torch.no_grad()
def wrong_together(cases: Sequence[OperatorCase]) -> dict[str, str]:
    """Name and complaint of every case that goes wrong in one network of all of them."""
    model, inputs = Together(cases).eval(), random_inputs(*(shape for case in cases for shape in case.shapes))
    found = iter(run_strictly(compiled(model, inputs), inputs))
    complaints = {}
    for case, result in zip(cases, model(*(x.clone() for x in inputs)), strict=True):
        try:
            for want in leaves(result):
                close(next(found), want.numpy(), tolerance=1e-5)
        except AssertionError as error:
            complaints[case.name] = str(error)
    return complaints


def wrong_alone(cases: Sequence[OperatorCase]) -> dict[str, str]:
    """The same, each in a network of its own."""
    complaints = {}
    for case in cases:
        try:
            agree(case.make(), *case.shapes)
        except Exception as error:
            complaints[case.name] = f"{type(error).__name__}: {error}"
    return complaints


@pytest.mark.parametrize("table", TABLES)
def test_operators(table: str) -> None:
    """All cases of a table in one network, which takes a tenth of the time; one by one when that does not compile."""
    try:
        complaints = wrong_together(TABLES[table])
    except Exception as error:
        complaints = wrong_alone(TABLES[table]) or {"all together": f"{type(error).__name__}: {error}"}
    assert complaints == {}


@pytest.mark.slow
@pytest.mark.parametrize("case", OPERATORS, ids=lambda case: case.name)
def test_operator(case: OperatorCase) -> None:
    agree(case.make(), *case.shapes)


@pytest.mark.parametrize("case", NETWORK_SHAPES, ids=lambda case: case.name)
def test_inputs_and_outputs_of_any_number(case: OperatorCase) -> None:
    agree(case.make(), *case.shapes)


def core(model: nn.Module, inputs: Sequence[Tensor]) -> torch.export.ExportedProgram:
    """The program in PyTorch's smallest set of operators, as other tools pass it on."""
    return torch.export.export(model, tuple(inputs)).run_decompositions()


#: cases whose operators have other names in PyTorch's smallest set
IN_CORE = [
    "conv", "conv_groups", "conv_depthwise", "transposed_stride_3", "transposed_groups", "linear", "linear_no_bias",
    "linear_on_sequences", "bn_after_conv", "bn_after_transposed", "bn_after_linear", "bn_after_linear_on_sequences",
    "max_pool_ceil_padded", "avg_pool_padding_uncounted", "adaptive_avg_1", "adaptive_avg_uneven", "adaptive_max_1",
    "softmax_channels", "log_softmax", "hardswish", "relu6", "selu", "clamp_low", "pad_negative",
    "chunk_uneven", "unflatten", "squeeze", "contiguous", "dropout", "add_alpha", "rsub_alpha", "mean_of_image",
    "interpolate_nearest_fraction", "interpolate_bilinear_aligned_size", "conv_functional_mask", "channel_shuffle",
    "conv1d_moves", "conv_transpose1d_moves", "conv1d_norm_relu", "max_pool1d_moves", "layer_norm", "group_norm",
    "instance_norm", "rms_norm", "channel_norm_permuted", "pad_reflect", "pad_circular",
]  # fmt: skip


def test_operators_in_core_form() -> None:
    cases = [case for case in OPERATORS if case.name in IN_CORE]
    assert len(cases) == len(IN_CORE)
    inputs = random_inputs(*(shape for case in cases for shape in case.shapes))
    agree(Together(cases), inputs=inputs, form=core)


def exported_operators(case: OperatorCase) -> set[str]:
    """Operators of a case as the importer meets them, in both forms."""
    inputs, model = random_inputs(*case.shapes), case.make().eval()
    programs = [import_model(form, inputs).program for form in (model, core(model, inputs))]
    nodes = [node for program in programs for node in program.graph.nodes if node.op == "call_function"]
    return {str(node.target).removeprefix("aten.") for node in nodes}


#: how programs of other versions of PyTorch, or exported by other means, write what the cases have
OTHER_SPELLINGS = {
    "_adaptive_avg_pool2d.default", "_prelu_kernel.default", "_unsafe_index.Tensor", "add.Scalar", "chunk.default",
    "concat.default", "constant_pad_nd.default", "contiguous.default", "div.Scalar", "dropout.default",
    "feature_dropout.default", "flatten.using_ints", "lift_fresh_copy.default", "mul.Scalar", "relu6.default",
    "reshape.default", "rsub.Tensor", "sub.Scalar", "true_divide.Tensor", "unflatten.int",
}  # fmt: skip


@pytest.mark.slow
def test_every_operator_of_the_tables_has_a_case() -> None:
    tables = [operators.FOLDING, operators.LAYERS, *operators.TABLES]
    known = {name for table in tables for name in table} | operators.FROM_RELAX | operators.IGNORED | BATCH_NORMS
    met = {name for case in OPERATORS for name in exported_operators(case)}
    assert known - met - OTHER_SPELLINGS == set()
