"""Pruners in training: gradients, decay, checkpoints, copies, DDP, mixed precision, torch.compile."""

from __future__ import annotations

import copy
import io
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from patience import PATIENCE_S
from prune_case import EPOCHS, PRUNED, PRUNERS, batch, net, optimizer_of, subp, train
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from sparsecc import prune

each = pytest.mark.parametrize("name", PRUNERS)


def applied(name):
    model = net()
    optimizer = optimizer_of(model)
    pruner = PRUNERS[name]()
    assert pruner.apply(model, optimizer=optimizer) is model
    return model, optimizer, pruner


def saved(*parts):
    """States through a file, as a checkpoint takes them; nothing but plain data is allowed."""
    file = io.BytesIO()
    torch.save([part.state_dict() for part in parts], file)
    file.seek(0)
    return torch.load(file, weights_only=True)


def same(one, other):
    assert one.keys() == other.keys()
    for name, value in one.items():
        assert torch.equal(value, other[name]), name


@each
def test_training_resumes_bit_for_bit(name):
    whole = applied(name)
    train(*whole[:1], whole[2], whole[1])
    first = applied(name)
    train(first[0], first[2], first[1], range(3))
    states = saved(*first)
    second = applied(name)
    for part, state in zip(second, states, strict=True):
        part.load_state_dict(state)
    same(second[0].state_dict(), first[0].state_dict())
    train(second[0], second[2], second[1], range(3, EPOCHS))
    same(second[0].state_dict(), whole[0].state_dict())
    assert second[2].sparsities() == whole[2].sparsities()
    same(second[2].finalize().state_dict(), whole[2].finalize().state_dict())


@each
def test_finalize_leaves_a_plain_model_that_computes_the_same(name):
    model, optimizer, pruner = applied(name)
    parameters = set(model.parameters())
    train(model, pruner, optimizer)
    model.eval()
    x, _ = batch(0, 0)
    before, sparsity = model(x), pruner.report()
    assert pruner.finalize() is model
    assert torch.equal(model(x), before)
    assert model.state_dict().keys() == net().state_dict().keys()
    assert set(model.parameters()) == parameters
    assert [type(layer) for layer in model] == [type(layer) for layer in net()]
    assert prune.report(model).sparsity == sparsity.sparsity > 0.2


@each
def test_a_copy_goes_its_own_way(name):
    model, optimizer, pruner = applied(name)
    pruner.step(5)
    twin = copy.deepcopy(model)
    same(twin.state_dict(), model.state_dict())
    before = {key: value.clone() for key, value in twin.state_dict().items()}
    train(model, pruner, optimizer)
    pruner.finalize()
    same(twin.state_dict(), before)
    sparsity = prune.report(twin).sparsity
    assert prune.finalize(twin) is twin
    assert twin.state_dict().keys() == net().state_dict().keys()
    assert prune.report(twin).sparsity == sparsity > 0.2


def test_optimizers_go_on_with_the_same_parameters():
    model = net()
    before = list(model.parameters())
    prune.OneByN(4, 0.5).apply(model)
    # the order differs: a parametrized weight is listed after the bias
    assert set(model.parameters()) == set(before)


def gradients(pruner):
    model = net()
    optimizer = optimizer_of(model)
    pruner.apply(model, optimizer=optimizer)
    pruner.step(9)
    model(batch(0, 0)[0]).square().sum().backward()
    part = model[3].parametrizations.weight
    return part.original, part[0].mask.expand_as(part.original), optimizer


def test_hard_masks_stop_gradients_and_soft_ones_do_not():
    weight, mask, _ = gradients(prune.OneByN(4, 0.5))
    assert (weight.grad[~mask] == 0).all()
    assert (weight.grad[mask] != 0).any()
    weight, mask, _ = gradients(subp(soft=False))
    assert (weight.grad[~mask] == 0).all()
    weight, mask, _ = gradients(subp())
    assert mask.float().mean() == 0.5
    assert (weight.grad[~mask] != 0).float().mean() > 0.5


def test_a_soft_gradient_is_that_of_the_masked_weight():
    model = nn.Sequential(nn.Linear(8, 4))
    prune.Subp(2, 0.5, decay_start=0, decay_end=0, decay=0, layers=["0"]).apply(model).train()
    x = torch.randn(3, 8)
    model(x).sum().backward()
    torch.testing.assert_close(model[0].parametrizations.weight.original.grad, x.sum(0).expand(4, 8))


def test_masked_weights_decay_before_the_optimizer_steps():
    weight, mask, optimizer = gradients(subp(decay=0.25))
    grad, before = weight.grad.clone(), weight.detach().clone()
    optimizer.step()
    torch.testing.assert_close(weight.grad, grad + 0.25 * before * ~mask)


def test_decay_is_not_scaled_by_a_gradient_scaler():
    weight, mask, optimizer = gradients(subp(decay=0.25))
    grad, before = weight.grad.clone(), weight.detach().clone()
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    scaler.scale(torch.ones(()))
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            parameter.grad = None if parameter.grad is None else parameter.grad * 1024.0
    scaler.step(optimizer)
    torch.testing.assert_close(weight.grad, grad + 0.25 * before * ~mask)


def test_decay_ends_with_the_masks():
    model = net()
    optimizer = optimizer_of(model)
    pruner = subp(decay=0.25)
    pruner.apply(model, optimizer=optimizer)
    pruner.step(4)
    pruner.finalize()
    model(batch(0, 0)[0]).sum().backward()
    grad = model[3].weight.grad.clone()
    optimizer.step()
    assert torch.equal(model[3].weight.grad, grad)


def test_seeds_decide_what_grows_back():
    def masks(seed):
        model = net()
        pruner = subp(seed=seed, decay=0)
        pruner.apply(model)
        torch.manual_seed(torch.seed())  # nothing depends on the global random state
        pruner.step(3)
        return torch.cat([model[int(name)].parametrizations.weight[0].mask.flatten() for name in PRUNED])

    assert torch.equal(masks(1), masks(1))
    assert not torch.equal(masks(1), masks(2))


@each
def test_mixed_precision(name):
    model, optimizer, pruner = applied(name)
    train(model, pruner, optimizer, amp=True)
    assert all(parameter.dtype == torch.float32 and parameter.isfinite().all() for parameter in model.parameters())
    assert max(pruner.sparsities().values()) >= 0.5


@pytest.mark.parametrize(
    ("name", "backend"),
    [
        ("subp", "aot_eager"),
        ("darb", "aot_eager"),
        pytest.param("one_by_n", "inductor", marks=pytest.mark.slow),
        pytest.param("subp", "inductor", marks=pytest.mark.slow),
    ],
)
def test_torch_compile(name, backend):
    plain, compiled = applied(name), applied(name)
    torch._dynamo.reset()
    fast = torch.compile(compiled[0], backend=backend, fullgraph=True)
    train(plain[0], plain[2], plain[1])
    train(fast, compiled[2], compiled[1])
    assert plain[2].sparsities() == compiled[2].sparsities()
    x, _ = batch(0, 0)
    torch.testing.assert_close(fast.eval()(x), plain[0].eval()(x), rtol=1e-3, atol=1e-4)


def distributed(rank, folder):
    """One of two processes; both see other images."""
    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
    for name in ("subp", "one_by_n"):
        model, optimizer, pruner = applied(name)
        train(DistributedDataParallel(model), pruner, optimizer, rank=rank)
        torch.save(model.state_dict(), f"{folder}/{name}{rank}.pt")
    torch.distributed.destroy_process_group()


def test_two_processes_agree(tmp_path):
    program = "import sys, test_prune_training; test_prune_training.distributed(int(sys.argv[1]), sys.argv[2])"
    path = os.pathsep.join([str(Path(__file__).parent), *sys.path])
    command = [sys.executable, "-c", program]
    running = [
        subprocess.Popen([*command, str(rank), str(tmp_path)], env={**os.environ, "PYTHONPATH": path})
        for rank in range(2)
    ]
    assert [process.wait(timeout=PATIENCE_S) for process in running] == [0, 0]
    for name in ("subp", "one_by_n"):
        one, two = (torch.load(tmp_path / f"{name}{rank}.pt") for rank in range(2))
        weights = [key for key in one if "running" not in key]
        same({key: one[key] for key in weights}, {key: two[key] for key in weights})
        assert not one["3.parametrizations.weight.0.mask"].all()
