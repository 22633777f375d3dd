"""Guided sparsity learning: layers without potential, upper bounds, lower bounds, and when they are settled."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from prune_case import bounds, net, optimizer_of, subp, train

from sparsecc import prune
from sparsecc.prune import Bounds


def guided(pruner, advisor, **options):
    model = net()
    found = prune.Guided(pruner, advisor, **options)
    found.apply(model, optimizer=optimizer_of(model))
    return model, found


ALL = {"3": Bounds(0, 1), "8": Bounds(0, 1), "10": Bounds(0, 1)}


@pytest.mark.parametrize("pruner", [lambda: prune.OneByN(4, 0.5), subp, lambda: prune.Darb(0.5)])
def test_layers_without_potential_get_no_mask(pruner):
    model, found = guided(pruner(), ALL | {"8": Bounds(0, 1, potential=False)})
    assert set(found.sparsities()) == {"3", "10"}
    assert not hasattr(model[8], "parametrizations")


@pytest.mark.parametrize("upper", [0.1, 0.5, 0.75, 0.8])
@pytest.mark.parametrize(
    ("pruner", "in_steps"),
    [
        (lambda: prune.OneByN(4, 0.9), True),
        (lambda: subp(sparsity=0.9), True),
        (lambda: prune.Darb(0.9), False),
        (lambda: prune.Bmwm(16), False),
    ],
)
def test_no_layer_passes_its_upper_bound(pruner, in_steps, upper):
    _, found = guided(pruner(), ALL | {"8": Bounds(0, upper)})
    for epoch in range(5):
        found.step(epoch)
        assert found.sparsities()["8"] <= upper
    # one of 32 input channels more would pass it; where the size of blocks decides, steps are coarse
    least = upper - 1 / 32 if in_steps else 0.25 if upper >= 0.5 else 0.0
    assert found.sparsities()["8"] >= least
    assert found.sparsities()["3"] >= 0.85


def test_uniform_layers_stop_at_the_last_block_below_the_bound():
    _, found = guided(subp(sparsity=0.9), ALL | {"8": Bounds(0, 0.4)})
    found.step(9)
    assert found.sparsities()["8"] == int(0.4 * 32) / 32


def test_a_layer_below_its_lower_bound_gets_its_dense_weights_back():
    dense = net()
    model, found = guided(prune.OneByN(4, 0.5), ALL | {"8": Bounds(0.6, 0.9)})
    assert found.done
    assert found.sparsities() == {"3": 0.5, "8": 0.0, "10": 0.5}
    assert (model[8].weight == dense[8].weight).all()
    found.finalize()
    assert (model[8].weight == dense[8].weight).all()
    assert (model[3].weight == 0).float().mean() == 0.5


def test_sparsity_at_the_bound_is_enough():
    _, found = guided(prune.OneByN(4, 0.5), ALL | {"8": Bounds(0.5, 0.5)})
    assert found.sparsities()["8"] == 0.5


@pytest.mark.parametrize("patience", [0, 1, 3])
def test_layers_settle_when_the_schedule_has_ended_and_patience_too(patience):
    _, found = guided(subp(), ALL | {"8": Bounds(0.6, 0.9)}, patience=patience)
    history = []
    for epoch in range(9):
        found.step(epoch)
        history.append((found.done, found.sparsities()["8"] > 0))
    # the schedule ends at epoch 4; the step to it may still change sparsity
    settled = 4 + patience
    assert history == [(epoch >= settled, 1 < epoch < settled) for epoch in range(9)]


def test_finalize_settles_at_the_latest():
    model, found = guided(subp(), bounds(), patience=100)
    train(model, found, optimizer_of(model))
    assert not found.done
    assert found.sparsities()["10"] == 0.5
    found.finalize()
    assert (model[10].weight != 0).all()
    assert (model[3].weight == 0).float().mean() == 0.5


@dataclass
class _Advice:
    """Stands for what the cost model says."""

    layers: dict[str, Bounds]

    def bounds(self):
        return self.layers


def test_an_advisor_may_be_an_object():
    _, found = guided(prune.OneByN(4, 0.75), _Advice(ALL | {"8": Bounds(0, 0.25)}))
    assert found.sparsities() == {"3": 0.75, "8": 0.25, "10": 0.75}
    assert found.report().layers[3].sparsity == 0.25


def test_a_layer_that_was_given_back_stays_dense_in_a_resumed_run():
    first_model, first = guided(subp(), bounds())
    for epoch in range(6):
        first.step(epoch)
    second_model, second = guided(subp(), bounds())
    second_model.load_state_dict(first_model.state_dict())
    second.load_state_dict(first.state_dict())
    second.step(6)
    assert second.done
    assert second.sparsities() == first.sparsities() == {"3": 0.5, "8": 12 / 32, "10": 0.0}
