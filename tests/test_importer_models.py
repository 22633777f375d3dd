"""Models of every form and mode, their example inputs, and the names of ports and layers."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nets
import numpy as np
import pytest
import torch
from helpers import agree, compiled, random_inputs, run_strictly
from nets import mask_forms
from operator_cases import IMAGE, Function
from small_nets import PRUNED, SMALL, Residual, prunable
from torch import Tensor, nn

import sparsecc
from sparsecc.importer.names import RESERVED, Keys
from sparsecc.runtime.format import FUNCTIONS, SHAPE_FUNCTIONS

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
    assert {*FUNCTIONS, *SHAPE_FUNCTIONS, "weights", "t", "main"} == RESERVED


def test_keys_are_unique_identifiers() -> None:
    keys, names = Keys(), ["a.b", "a_b", "a b", "", "é", "run", "a_b_2", "0.1", "0_1"]
    taken = [keys.take(name) for name in names]
    assert len(set(taken)) == len(names)
    assert all(key.isidentifier() and key.isascii() and key not in RESERVED for key in taken)
