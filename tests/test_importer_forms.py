"""Models in odd forms: members that can't be copied, training mode, regions of gradients, channels last."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers import agree, random_inputs
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

import sparsecc
from sparsecc.errors import ModelError, NotSupportedError
from sparsecc.importer import import_model

SHAPE = (2, 6, 5, 5)


class Stubborn(nn.Module):
    """Its evaluation mode changes a weight, as merged adapters do."""

    def __init__(self, member: Any) -> None:
        super().__init__()
        self.conv, self.norm, self.member = nn.Conv2d(6, 4, 1), nn.BatchNorm2d(4), member

    def train(self, mode: bool = True) -> Stubborn:
        if not mode:
            self.conv.weight.data *= 2
        return super().train(mode)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.conv(x))


class Uncopied(Stubborn):
    """Nothing of it can be copied."""

    def __deepcopy__(self, memo: Any) -> Any:
        raise ValueError("no")


MEMBERS: dict[str, Callable[[], Any]] = {
    "lock": threading.Lock,
    "locks": lambda: {"all": [threading.Lock()]},
    "file": tempfile.TemporaryFile,
    "generator": lambda: (i for i in range(3)),
    "computed tensor": lambda: torch.ones(3, requires_grad=True) * 2,
}


@pytest.mark.parametrize("name", MEMBERS)
def test_members_that_can_not_be_copied(name: str) -> None:
    model = Stubborn(MEMBERS[name]())
    before = {key: value.clone() for key, value in model.state_dict().items()}
    imported = import_model(model, random_inputs(SHAPE))
    assert imported.notes == ("the model was in training mode: a copy in evaluation mode was compiled",)
    found = imported.layers["conv"].weight * (1 + 1e-5) ** 0.5
    torch.testing.assert_close(torch.from_numpy(found), 2 * before["conv.weight"])
    assert all(module.training for module in model.modules())
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


def test_a_model_that_refuses_to_be_copied_is_left_as_it_was() -> None:
    model = Uncopied(None)
    model.conv.training = False
    before = {key: value.clone() for key, value in model.state_dict().items()}
    import_model(model, random_inputs(SHAPE))
    for _ in ("as it is", "after an error"):
        assert [module.training for module in model.modules()] == [True, False, True]
        assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
        with pytest.raises(ModelError, match="to have 6 channels, but got 5"):
            import_model(model, random_inputs((2, 5, 5, 5)))


def test_a_model_that_fails_to_be_exported_is_left_as_it_was() -> None:
    class Counting(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("calls", torch.zeros(1))

        def forward(self, x: Tensor) -> Tensor:
            self.calls += 1
            return x.reshape(7)

    model = Counting().eval()
    with pytest.raises(ModelError, match="the model fails on them"):
        import_model(model, random_inputs(SHAPE))
    assert model.calls == 0


#: layers that compute something else in training, with the operator that says so
TRAINED: dict[str, tuple[Callable[[], nn.Module], str]] = {
    "batch norm": (lambda: nn.BatchNorm2d(6), "aten.batch_norm.default"),
    "instance norm": (lambda: nn.InstanceNorm2d(6, track_running_stats=True), "aten.instance_norm.default"),
    "dropout": (nn.Dropout, "aten.dropout.default"),
    "dropout of channels": (nn.Dropout2d, "aten.feature_dropout.default"),
    "rrelu": (nn.RReLU, "aten.rrelu.default"),
}


@pytest.mark.parametrize("name", TRAINED)
def test_programs_exported_in_training_mode(name: str, tmp_path: Path) -> None:
    make, operator = TRAINED[name]
    program = torch.export.export(nn.Sequential(make()).train(), random_inputs(SHAPE))
    torch.export.save(program, tmp_path / "m.pt2")
    for model in (program, tmp_path / "m.pt2"):
        with pytest.raises(ModelError) as caught:
            import_model(model)
        said = str(caught.value)
        assert said.startswith(f"layer 0: {operator} runs in training mode, expected evaluation mode; export after mo")


def test_core_programs_exported_in_training_mode() -> None:
    for make in (lambda: nn.BatchNorm2d(6), nn.Dropout):
        program = torch.export.export(nn.Sequential(make()).train(), random_inputs(SHAPE)).run_decompositions()
        with pytest.raises(ModelError, match=r"layer 0: .* runs in training mode"):
            import_model(program)


def test_dropout_that_is_always_on() -> None:
    class Uncertain(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return F.dropout(x, 0.5, training=True)

    with pytest.raises(ModelError, match=r"call functions such as F\.dropout with training=False"):
        import_model(Uncertain().eval(), random_inputs(SHAPE))


def test_norms_without_running_statistics_are_not_taken_for_training() -> None:
    imported = import_model(nn.Sequential(nn.BatchNorm2d(6, track_running_stats=False)).eval(), random_inputs(SHAPE))
    assert [layer.kernel for layer in imported.layers.values()] == ["norm"]


class Regions(nn.Module):
    """Regions in each other, with several results, one, and none of their own."""

    def __init__(self, outside: bool) -> None:
        super().__init__()
        self.conv, self.outside = nn.Conv2d(6, 4, 1), outside

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        with torch.set_grad_enabled(not self.outside):
            y = self.conv(x)
            with torch.set_grad_enabled(self.outside):
                a, b = y.chunk(2, 1)
            y[:, :2].mul_(2)
        with torch.autocast("cpu", enabled=False):
            z = y.relu()
        return z, a, b + 1


@pytest.mark.parametrize("outside", [False, True])
@pytest.mark.parametrize("form", ["module", "exported"])
def test_regions_of_gradients(form: str, outside: bool) -> None:
    def made(model: nn.Module, inputs: Any) -> Any:
        with torch.set_grad_enabled(outside):
            return model if form == "module" else torch.export.export(model, inputs)

    agree(Regions(outside), SHAPE, form=made)


def test_a_region_that_changes_types() -> None:
    class Autocast(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            with torch.autocast("cpu"):
                return (x @ x).float()

    with pytest.raises(NotSupportedError, match=r"gives torch\.bfloat16, expected torch\.float32"):
        import_model(Autocast().eval(), random_inputs(SHAPE))


def test_channels_last_everywhere() -> None:
    model = nn.Sequential(nn.Conv2d(6, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.Linear(72, 5))
    model = model.to(memory_format=torch.channels_last).eval()
    (x,) = random_inputs(SHAPE)
    last = x.to(memory_format=torch.channels_last)
    for given in (x, last):
        for form in (model, torch.export.export(model, (last,))):
            compiled = sparsecc.compile(form, example_inputs=(given,), threads=1)
            torch.testing.assert_close(compiled(given), model(x).detach(), rtol=1e-4, atol=1e-5)
