"""Models of every form and all their operators, held against PyTorch on tiny networks."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import nets
import numpy as np
import pytest
import torch
from helpers import agree, close, compiled, kinds, leaves, random_inputs, run_strictly
from nets import mask_forms
from operator_cases import IMAGE, NETWORK_SHAPES, OPERATORS, TABLES, Function, OperatorCase, Together
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

import sparsecc
from sparsecc.importer import import_model, operators
from sparsecc.importer.batchnorm import BATCH_NORMS
from sparsecc.importer.names import RESERVED, Keys
from sparsecc.runtime.format import FUNCTIONS

SMALL = (1, 16, 9, 7)


# --- operators -----------------------------------------------------------------------------------------------------


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
    "_adaptive_avg_pool2d.default", "_prelu_kernel.default", "add.Scalar", "chunk.default", "concat.default",
    "constant_pad_nd.default", "contiguous.default", "div.Scalar", "dropout.default", "feature_dropout.default",
    "flatten.using_ints", "lift_fresh_copy.default", "mul.Scalar", "relu6.default", "reshape.default", "rsub.Tensor",
    "sub.Scalar", "true_divide.Tensor", "unflatten.int", "upsample_bilinear2d.default", "upsample_nearest2d.default",
}  # fmt: skip


@pytest.mark.slow
def test_every_operator_of_the_tables_has_a_case() -> None:
    tables = [operators.FOLDING, operators.LAYERS, *operators.TABLES]
    known = {name for table in tables for name in table} | operators.FROM_RELAX | operators.IGNORED | BATCH_NORMS
    met = {name for case in OPERATORS for name in exported_operators(case)}
    assert known - met - OTHER_SPELLINGS == set()


# --- fusion --------------------------------------------------------------------------------------------------------


def conv_bn(*activation: nn.Module) -> nn.Module:
    return nn.Sequential(nn.Conv2d(16, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), *activation)


class Residual(nn.Module):
    """A block whose sum comes before or after the activation, either way round."""

    def __init__(self, body: nn.Module, join: Callable[[Tensor, Tensor], Tensor]) -> None:
        super().__init__()
        self.body, self.join = body, join

    def forward(self, x: Tensor) -> Tensor:
        """Map images to images of the same shape."""
        return self.join(self.body(x), x)


FUSED = {
    "conv": conv_bn,
    "relu": lambda: conv_bn(nn.ReLU()),
    "relu6": lambda: conv_bn(nn.ReLU6()),
    "leaky": lambda: conv_bn(nn.LeakyReLU(0.1)),
    "prelu": lambda: conv_bn(nn.PReLU()),
    "hardswish": lambda: conv_bn(nn.Hardswish()),
    "hardsigmoid": lambda: conv_bn(nn.Hardsigmoid()),
    "sigmoid": lambda: conv_bn(nn.Sigmoid()),
    "silu": lambda: conv_bn(nn.SiLU()),
    "tanh": lambda: conv_bn(nn.Tanh()),
    "gelu": lambda: conv_bn(nn.GELU()),
    "gelu_tanh": lambda: conv_bn(nn.GELU("tanh")),
    "mish": lambda: conv_bn(nn.Mish()),
    "elu": lambda: conv_bn(nn.ELU(0.5)),
    "softplus": lambda: conv_bn(nn.Softplus()),
    "residual": lambda: Residual(conv_bn(), torch.add),
    "residual_first": lambda: Residual(conv_bn(), lambda y, x: x + y),
    "residual_relu": lambda: Residual(conv_bn(), lambda y, x: F.relu(y + x)),
    "relu_residual": lambda: Residual(conv_bn(nn.ReLU()), torch.add),
    "bias_as_sum": lambda: Function(lambda x: F.conv2d(x, torch.ones(4, 16, 1, 1)) + torch.arange(4.0)[:, None, None]),
}


@pytest.mark.parametrize("name", FUSED)
def test_what_follows_a_convolution_joins_it(name: str) -> None:
    artefact = agree(FUSED[name](), SMALL)
    assert [kind for kind in kinds(artefact) if kind != "repack"] == ["direct"]


@pytest.mark.parametrize(
    ("name", "join"),
    [
        ("alpha", lambda y, x: torch.add(y, x, alpha=2)),
        ("scaled", lambda y, x: y * 0.5 + x),
        ("itself", lambda y, x: y + y),
        ("relu_twice", lambda y, x: F.relu(F.relu(y) - 0.5)),
        ("residual_both_sides", lambda y, x: x + F.relu(y + x)),
        ("sum_of_three", lambda y, x: y + x + y.relu()),
        ("channel", lambda y, x: y + x[:, :1]),
        ("pixel", lambda y, x: y + x.mean((2, 3), keepdim=True)),
        ("used_twice", lambda y, x: torch.cat([y.relu(), y + x], 1)),
        ("subtracted", lambda y, x: x - y),
        ("gated", lambda y, x: y * x.sigmoid()),
        ("gate_of_itself", lambda y, x: y * y.sigmoid()),
    ],
)
def test_what_can_not_join_is_still_right(name: str, join: Callable[[Tensor, Tensor], Tensor]) -> None:
    agree(Residual(conv_bn(), join), SMALL)


@pytest.mark.parametrize("act", [nn.ReLU, nn.SiLU, nn.Hardswish, nn.Sigmoid], ids=lambda act: act.__name__)
def test_activation_of_linear_and_depthwise(act: type[nn.Module]) -> None:
    model = nn.Sequential(nn.Conv2d(16, 16, 3, groups=16), act(), nn.Flatten(), nn.Linear(560, 9), act())
    assert "generic" not in kinds(agree(model, SMALL))


# --- masks ---------------------------------------------------------------------------------------------------------

PRUNED = ["0", "3", "7"]


def prunable() -> nn.Module:
    """Convolutions and a linear layer, with batch norms that shift and scale."""
    model = nn.Sequential(
        nn.Conv2d(16, 32, 3, padding=1, bias=False), nn.BatchNorm2d(32), nn.ReLU(),
        nn.Conv2d(32, 32, 1), nn.BatchNorm2d(32),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 24),
    )  # fmt: skip
    nets.calibrate_batchnorm(model, torch.randn(8, 16, 9, 7))
    return model.eval()


def structures(model: nn.Module) -> dict[str, Any]:
    plan = sparsecc.inspect(model, example_inputs=random_inputs(SMALL))
    found = {layer.name: layer.structure for layer in plan.layers}
    return {name: s and (s.block_n, s.aligned, s.uniform, s.density, s.nnzb) for name, s in found.items()}


@pytest.mark.parametrize("options", [{}, {"rearrange": True}, {"uniform": True}], ids=["1xn", "rearranged", "subp"])
@pytest.mark.parametrize("form", mask_forms.FORMS)
def test_mask_forms_give_the_structure_of_plain_zeros(form: str, options: dict[str, bool]) -> None:
    model = prunable()
    masks = nets.impose_1xn(model, 8, 0.5, include=PRUNED, **options)
    plain = structures(model)
    assert {name: found[0] for name, found in plain.items()} == dict.fromkeys(PRUNED, 8)
    assert structures(mask_forms.FORMS[form](model, masks)) == plain


@pytest.mark.parametrize("form", mask_forms.FORMS)
def test_mask_forms_compute_what_pytorch_does(form: str) -> None:
    model = prunable()
    masks = nets.impose_1xn(model, 8, 0.5, include=PRUNED)
    agree(mask_forms.FORMS[form](model, masks), SMALL)


class FunctionalMask(nn.Module):
    """Masks that are plain attributes, applied in forward in two steps."""

    def __init__(self, threshold: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(16, 16, 1, 1))
        keep = torch.arange(16) % 2 == 0
        self.mask = keep.float().reshape(1, 16, 1, 1)
        self.threshold = threshold

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, 16, h, w) to (n, 16, h, w)."""
        weight = self.weight * self.mask
        weight = torch.where(weight.abs() > self.threshold, weight, torch.zeros_like(weight))
        return F.conv2d(x, weight / weight.norm())


def test_functional_masks_are_found() -> None:
    model = FunctionalMask(0.0)
    found = next(iter(structures(model).values()))
    assert found[3] == 0.5
    agree(model, SMALL)


class Twice(nn.Module):
    """Modules called more than once."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(16, 16, 3, padding=1), nn.BatchNorm2d(16)
        self.act = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, 16, h, w) to (n, 16, h / 2, w / 2)."""
        x = self.act(self.norm(self.conv(x)))
        x = F.max_pool2d(self.act(self.norm(self.conv(x))), 2)
        return self.norm(x) + self.conv(x)


def test_shared_modules() -> None:
    artefact = agree(Twice(), SMALL)
    assert [layer.name for layer in artefact.report.plan.layers] == ["conv"] * 3
    assert len({layer.key for layer in artefact.report.plan.layers}) == 3


def test_tied_weights() -> None:
    model = nn.Sequential(nn.Conv2d(16, 16, 1), nn.Conv2d(16, 16, 1))
    model[1].weight = model[0].weight
    agree(model, SMALL)


# --- training mode -------------------------------------------------------------------------------------------------


def pruned_by_hooks() -> nn.Module:
    model = prunable()
    return mask_forms.to_torch_prune(model, nets.impose_1xn(model, 8, 0.5, include=PRUNED))


def weight_normed() -> nn.Module:
    return nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Conv2d(16, 8, 1)), nn.Dropout(), nn.BatchNorm2d(8))


@pytest.mark.parametrize("make", [prunable, pruned_by_hooks, weight_normed])
def test_training_mode_is_noted_and_left_alone(make: Callable[[], nn.Module]) -> None:
    model = make().train()
    model[1].eval()
    before, flags = copy.deepcopy(model.state_dict()), [module.training for module in model.modules()]
    artefact = compiled(model, random_inputs(SMALL))
    assert any("training mode" in note for note in artefact.report.notes)
    assert [module.training for module in model.modules()] == flags
    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())
    found = run_strictly(artefact, random_inputs(SMALL))
    with torch.no_grad():
        np.testing.assert_allclose(found[0], model.eval()(*random_inputs(SMALL)).numpy(), atol=1e-5)


def test_evaluation_mode_has_no_note() -> None:
    assert compiled(prunable(), random_inputs(SMALL)).report.notes == ()


# --- forms of model ------------------------------------------------------------------------------------------------


def test_module_program_and_file_give_the_same_code(tmp_path: Path) -> None:
    model, inputs = prunable(), random_inputs(SMALL)
    program = torch.export.export(model, inputs)
    torch.export.save(program, tmp_path / "model.pt2")
    forms = [model, program, tmp_path / "model.pt2", str(tmp_path / "model.pt2")]
    artefacts = [compiled(form, inputs) for form in forms]
    assert all(a.kernels == artefacts[0].kernels for a in artefacts)
    for weights in zip(*(a.program.weights for a in artefacts), strict=True):
        assert all(np.array_equal(w, weights[0]) for w in weights)


def test_a_program_needs_no_example_inputs() -> None:
    program = torch.export.export(prunable(), random_inputs(SMALL))
    lib = sparsecc.compile(program)
    assert lib.report.error is not None
    assert lib.report.error < 1e-5


@pytest.mark.parametrize(
    "example",
    [
        torch.randn(SMALL),
        torch.randn(SMALL, requires_grad=True),
        torch.randn(SMALL).numpy(),
        torch.randn(SMALL).to(memory_format=torch.channels_last),
        torch.randn(2, *SMALL)[1],
    ],
    ids=["tensor", "gradient", "numpy", "channels_last", "view"],
)
def test_example_inputs_of_any_kind(example: Any) -> None:
    for inputs in (example, (example,), [example]):
        assert compiled(prunable(), inputs).program.inputs[0].shape == SMALL


class ChangesItsInput(nn.Module):
    """As networks do that begin with an activation in place."""

    def __init__(self) -> None:
        super().__init__()
        self.act, self.conv = nn.ReLU(inplace=True), nn.Conv2d(16, 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, 16, h, w) to (n, 4, h, w)."""
        return self.conv(self.act(x))


def test_an_input_that_the_model_changes_stays_as_it_is() -> None:
    example = random_inputs(SMALL)[0]
    before = example.clone()
    artefact = agree(ChangesItsInput(), inputs=(example,))
    assert torch.equal(example, before)
    assert any("changes its input" in note for note in artefact.report.notes)


# --- inputs and outputs --------------------------------------------------------------------------------------------


def test_ports_are_named_after_the_arguments() -> None:
    program = compiled(Residual(nn.Conv2d(16, 16, 1), torch.add), random_inputs(SMALL)).program
    assert [(port.name, port.shape, port.dtype) for port in program.inputs] == [("x", SMALL, "float32")]
    assert [(port.name, port.shape) for port in program.outputs] == [("output", SMALL)]
    two = compiled(Function(lambda x: (x, x + 1)), random_inputs(IMAGE)).program
    assert [port.name for port in two.outputs] == ["output_0", "output_1"]


def test_torch_in_torch_out_and_numpy_in_numpy_out() -> None:
    lib = sparsecc.compile(Function(lambda x: (x + 1, x * 2)), example_inputs=random_inputs(IMAGE))
    x = random_inputs(IMAGE)[0]
    assert all(isinstance(y, Tensor) for y in lib(x))
    assert all(isinstance(y, np.ndarray) for y in lib(x.numpy()))
    out = (torch.empty(IMAGE), torch.empty(IMAGE))
    assert lib(x, out=out)[1] is out[1]
    assert torch.equal(out[0], x + 1)


# --- names ---------------------------------------------------------------------------------------------------------


def with_layer(name: str) -> nn.Module:
    model = nn.Sequential()
    model.add_module(name, nn.Conv2d(16, 4, 1))
    return model


@pytest.mark.parametrize("name", ["run", "weights", "t", "größe", "3", "a-b c", "copy_0", "main", "model", "int", "_x"])
def test_layers_may_have_any_name(name: str) -> None:
    lib = sparsecc.compile(with_layer(name), example_inputs=random_inputs(SMALL), verify=False)
    assert [layer.name for layer in lib.plan.layers] == [name]


def test_names_of_the_interface_are_known() -> None:
    assert {*FUNCTIONS, "weights", "t", "main"} == RESERVED


def test_keys_are_unique_identifiers() -> None:
    keys, names = Keys(), ["a.b", "a_b", "a b", "", "é", "run", "a_b_2", "0.1", "0_1"]
    taken = [keys.take(name) for name in names]
    assert len(set(taken)) == len(names)
    assert all(key.isidentifier() and key.isascii() and key not in RESERVED for key in taken)
