"""Odd calls of operators: each is right, or an error of ours that says what it is."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from helpers import random_inputs
from operator_cases import IMAGE, Function
from operator_cases.case import OperatorCase, Shape, function
from test_importer_operators import wrong_alone, wrong_together
from torch.nn import functional as F  # noqa: N812

from sparsecc.errors import ModelError, NotSupportedError
from sparsecc.importer import import_model

NAN, MATRIX = float("nan"), torch.arange(77.0).reshape(11, 7) / 50
INDEX = torch.tensor


def numbers(*shape: int) -> torch.Tensor:
    """The numbers from 1 on."""
    return torch.arange(1.0, 1 + math.prod(shape)).reshape(shape)


#: what is computed, and shapes of its inputs
RIGHT: list[tuple[str, Callable[..., Any], tuple[Shape, ...]]] = [
    ("linear with a vector", lambda x: F.linear(x, numbers(11)), ((3, 11),)),
    ("linear of a vector with a vector", lambda x: F.linear(x, numbers(11)), ((11,),)),
    ("linear of a vector", lambda x: F.linear(x, MATRIX.T, numbers(7)), ((11,),)),
    ("linear, bias of one", lambda x: F.linear(x, MATRIX.T, numbers(1)), ((3, 11),)),
    ("linear, bias of every element", lambda x: F.linear(x, MATRIX.T, numbers(3, 7)), ((3, 11),)),
    ("linear, bias from the input", lambda x: F.linear(x, MATRIX.T, x[0, :7]), ((3, 11),)),
    *(
        (f"addmm {shape} {options}", lambda x, s=shape, k=options: torch.addmm(numbers(*s), x, MATRIX, **k), ((3, 11),))
        for shape in ((3, 7), (1, 7), (1,), (3, 1), (7,), (1, 1), ())
        for options in ({}, {"beta": 0.5, "alpha": 2})
    ),
    ("addmm, beta 0", lambda x: torch.addmm(torch.full((7,), NAN), x, MATRIX, beta=0), ((3, 11),)),
    ("addmm, alpha 0", lambda x: torch.addmm(numbers(7), x, MATRIX, alpha=0), ((3, 11),)),
    ("addmm of inputs", lambda b, x, w: torch.addmm(b, x, w, beta=3, alpha=2), ((3, 7), (3, 11), (11, 7))),
    ("addmm, bias from an input", lambda b, x: torch.addmm(b, x, MATRIX), ((7,), (3, 11))),
    (
        "addmm, then batch norm",
        lambda x: F.batch_norm(torch.addmm(numbers(3, 7), x, MATRIX), torch.ones(7), numbers(7)),
        ((3, 11),),
    ),
    ("mm, then batch norm", lambda x, y: F.batch_norm(x @ y, torch.ones(7), numbers(7)), ((3, 11), (11, 7))),
    ("mm, constant first", lambda x: torch.mm(MATRIX.T, x), ((11, 3),)),
    ("mv", lambda x: torch.mv(x, numbers(11)), ((3, 11),)),
    ("dot", lambda x: torch.dot(x, numbers(11)), ((11,),)),
    ("matmul of vectors", torch.matmul, ((11,), (11,))),
    ("matmul from a vector", lambda x: x @ MATRIX, ((11,),)),
    ("matmul with a vector", lambda x: MATRIX.T @ x, ((11,),)),
    ("matmul of images", lambda x: x @ MATRIX, (IMAGE,)),
    ("matmul broadcast", torch.matmul, ((5, 1, 2, 3), (4, 3, 2))),
    ("baddbmm", lambda x, y, b: torch.baddbmm(b, x, y, beta=0.5), ((2, 3, 5), (2, 5, 4), (2, 1, 4))),
    ("einsum", lambda x, y: torch.einsum("bchw,bchw->bhw", x, y), (IMAGE, IMAGE)),
    *(
        (f"{name} over {axes}, keepdim {kept}", lambda x, f=reduce, a=axes, k=kept: f(x, a, keepdim=k), (IMAGE,))
        for name, reduce in {"mean": torch.mean, "sum": torch.sum, "amax": torch.amax}.items()
        for axes in ([], (-1,), (0,), (-1, 1), (0, 1, 2, 3))
        for kept in (False, True)
    ),
    ("mean of one number", lambda x: x.mean() + x.mean(0) + x.sum(-1) + x.amax() + x.amin(0), ((),)),
    ("mean, axes None", lambda x: torch.mean(x, None, True), (IMAGE,)),
    ("mean, type given", lambda x: x.mean(1, dtype=torch.float32), (IMAGE,)),
    ("sum of a mask", lambda x: (x > 0).sum(1, dtype=torch.float32), (IMAGE,)),
    ("extremes beside NaN", lambda x: torch.stack([x.sqrt().amax(1), x.sqrt().amin(1)]), (IMAGE,)),
    ("normalized", lambda x: F.normalize(x, dim=1), (IMAGE,)),
    ("logsumexp", lambda x: x.logsumexp(1), (IMAGE,)),
    ("attention", lambda q: F.scaled_dot_product_attention(q, q, q, is_causal=True), ((2, 3, 5, 4),)),
    ("softmax of one number", lambda x: x.softmax(0) + x.log_softmax(-1), ((),)),
    ("softmax along negative axes", lambda x: x.softmax(-3) + F.log_softmax(x, -2) + F.softmin(x, 1), (IMAGE,)),
    ("softmax, type given", lambda x: x.softmax(1, dtype=torch.float32), (IMAGE,)),
    ("cat with nothing", lambda x: torch.cat([torch.empty(0), x, torch.empty(0)], 1), (IMAGE,)),
    ("cat with an empty slice", lambda x: torch.cat([x[:, :0], x, x], -3), (IMAGE,)),
    ("cat with an empty part", lambda x: torch.cat(torch.split(x, [0, 4, 2], 1), 1), (IMAGE,)),
    ("cat with integers and masks", lambda x: torch.cat([x, torch.arange(11).expand(2, 1, 9, 11), x > 0], 1), (IMAGE,)),
    ("cat of vectors", lambda x, y: torch.cat([x, y]), ((3,), (4,))),
    ("sum of nothing", lambda x: x[:, 3:3].sum() + x, (IMAGE,)),
    ("stack of numbers", lambda x, y: torch.stack([x, y]), ((), ())),
    ("stack along the last axis", lambda x, y: torch.stack([x, y], -1), (IMAGE, IMAGE)),
    ("split along a negative axis", lambda x: torch.split(x, 4, -2)[2] + x.chunk(3, -2)[1][:, :, :1], (IMAGE,)),
    ("unbind, narrow, select", lambda x: x.unbind(-1)[3] + x.narrow(-1, 3, 4)[..., 0] + x.select(-1, -1), (IMAGE,)),
    ("element of a vector", lambda x: x[3], ((11,),)),
    ("shapes of one number", lambda x: x.transpose(0, -1).permute(()).flatten() + x.expand(3, 4).unsqueeze(0), ((),)),
    ("views of one number", lambda x: x.view(()).view(1, 1).squeeze().roll(1).reshape(1), ((1,),)),
    ("expand in front", lambda x: x.expand(5, -1, -1) + x.repeat(2, 1, 1)[:1] + x.tile((1,)), ((3, 1),)),
    ("repeat_interleave", lambda x: x.repeat_interleave(2, 1), (IMAGE,)),
    ("numbers on the left", lambda x: 5 - x + 2 / (x.abs() + 1) + (x < 0.5), (IMAGE,)),
    ("powers", lambda x: x**0 + x**1 + (x.abs() + 1) ** -2 + x**True, (IMAGE,)),
    (
        "broadcast both ways",
        lambda x, y: x + y - torch.maximum(x, y) * torch.where(x > y, x, y),
        ((2, 1, 9, 1), (6, 1, 11)),
    ),
    ("broadcast a number", lambda x, y: x * y - torch.where(x > 0, x, y), ((), IMAGE)),
    ("integers and truths", lambda x: (x + INDEX(3)) * torch.arange(11) + INDEX([True] * 11) + True, (IMAGE,)),
    ("infinity and NaN", lambda x: torch.stack([x + math.inf, x * NAN, x - INDEX(math.inf)]), (IMAGE,)),
    ("clamp, crossed", lambda x: x.clamp(1, -1) + x.clamp(min=None, max=2) + x.clamp(0), (IMAGE,)),
    ("activations of one number", lambda x: x.relu() + F.gelu(x) + F.prelu(x, INDEX([0.2])) + F.hardtanh(x), ((),)),
    ("prelu of sequences", lambda x: F.prelu(x, numbers(6)), ((2, 6, 9),)),
    ("pad a vector", lambda x: F.pad(x, (1, -2)), ((11,),)),
    ("pools of sequences", lambda x: F.max_pool1d(x, 2) + F.avg_pool1d(x, 2), ((2, 6, 9),)),
    ("written numbers", lambda x: x.clone().fill_(2) + x, ((),)),
    ("channels last", lambda x: x.to(memory_format=torch.channels_last) * 2, (IMAGE,)),
    (
        "channels last through a convolution",
        lambda x: F.conv2d(x.contiguous(memory_format=torch.channels_last), torch.ones(4, 6, 3, 3)).reshape(2, -1),
        (IMAGE,),
    ),
    ("write at places of a mask", lambda x: _squared_at(x.clone(), torch.where(x > 0.5)), (IMAGE,)),
    ("gradients asked for", lambda x: _with_gradients(x), (IMAGE,)),
]


def _squared_at(y: torch.Tensor, places: tuple[torch.Tensor, ...]) -> torch.Tensor:
    y[places] **= 2
    return y


def _with_gradients(x: torch.Tensor) -> torch.Tensor:
    with torch.enable_grad():
        y = x.relu()
        with torch.no_grad():
            a, b = y.chunk(2, 1)
        z = a * b
    with torch.inference_mode():
        z = z + 1
    with torch.autocast("cpu", enabled=False):
        return torch.cat([z, a], 1)


def test_odd_calls_are_right() -> None:
    cases: list[OperatorCase] = [function(name, compute, *shapes) for name, compute, shapes in RIGHT]
    try:
        complaints = wrong_together(cases)
    except Exception as error:
        complaints = wrong_alone(cases) or {"all together": f"{type(error).__name__}: {error}"}
    assert complaints == {}


#: what is computed, shapes of its inputs, and what the error says of it
REFUSED: dict[str, tuple[Callable[..., Any], tuple[Shape, ...], str]] = {
    "weight": (F.linear, ((3, 11), (7, 11)), "its weight depends on the input, expected a constant"),
    "double": (lambda x: x.mean(1, dtype=torch.float64).float(), (IMAGE,), "aten.mean.dim gives torch.float64"),
    "count": (lambda x: (x > 0).sum(1).float(), (IMAGE,), "aten.sum.dim_IntList gives torch.int64"),
    "complex": (lambda x: (x * 1j).real, (IMAGE,), "aten.mul.Tensor gives torch.complex64"),
    "nothing out": (lambda x: x[:, :0], (IMAGE,), "its output has shape (2, 0, 9, 11), expected sizes from 1"),
    "selected out": (lambda x: x[x > 0], (IMAGE,), "its output has a shape that depends on values, expected fixed"),
    "selected": (lambda x: x[x > 0].sum(), (IMAGE,), "aten.index.Tensor: the shape of its result depends on values"),
    "item": (
        lambda x: x * x.sum().item(), ((3,),),
        "aten._local_scalar_dense.default, which PyTorch makes of aten.item.default, is not supported",
    ),
    "gather": (
        lambda x, i: x.gather(1, i.argmax(1, True)),
        ((3, 4), (3, 2)),
        "an index of aten.gather.default depends on the input",
    ),
    "sort": (
        lambda x: x.sort(1).values, ((1, 20000),),
        "sort of 20000 elements is not supported, expected at most 16384; return them",
    ),
    "norm": (lambda x: x.norm(p=3, dim=1), (IMAGE,), "a norm of order 3 is not supported, expected 1 or 2"),
    "put truth": (
        lambda x: (x > 0).index_put((INDEX([0, 1]),), x > 1, accumulate=True).float(), (IMAGE,),
        "index_put that adds truth values is not supported, expected float32",
    ),
    "add too many": (
        lambda x: x.scatter_add(0, torch.zeros(5000, dtype=torch.int64), x), ((5000,),),
        "scatter_add that adds 5000 values to one of 5000 elements is not supported, expected at most 3355",
    ),
    "scatter and multiply": (
        lambda x: x.scatter_reduce(0, INDEX([[0, 0]]), x, "prod"), ((3, 4),),
        "scatter_reduce with reduce='prod', include_self=True is not supported, expected a sum with what is there",
    ),
    "scatter where selected": (
        lambda x, y: x.scatter_add(1, (y > 0).long(), y), ((3, 4), (3, 2)), "depends on the input",
    ),
    "put what counts": (
        lambda x: _written(x, x[x > 0] * x[x > 0].numel()), (IMAGE,),
        "aten.index.Tensor: the shape of its result depends on values, expected a fixed one; use torch.where",
    ),
    "put what was sorted": (lambda x: _written(x, x[x > 0].cumsum(0)), (IMAGE,), "depends on values, expected a fixed"),
    "put what another mask selects": (
        lambda x: _written(x, (-x)[x.flip(3) > 0]), (IMAGE,), "depends on values, expected a fixed one",
    ),
    "put by two masks": (lambda x: x.index_put((x[:, 0] > 0, x[0] > 0), INDEX(1.0)), ((3, 4),), "index_put at places"),
    "put by mask": (
        lambda x, y: x.index_put((y > 0, INDEX([0])), INDEX(1.0)), ((3, 4), (3,)),
        "index_put at places that depend on the input is not supported, expected one mask and one number",
    ),
    "activation": (lambda x: F.prelu(x, x[0, :, 0, 0]), (IMAGE,), "its slope depends on the input"),
    "batch norm": (lambda x, m: F.batch_norm(x, m, m), (IMAGE, (6,)), "its mean depends on the input"),
    "three axes": (lambda x: F.max_pool2d(x, 2), ((6, 9, 11),), "of shape (6, 9, 11) is not supported, expected"),
    "pixel shuffle": (lambda x: F.pixel_shuffle(x, 2), ((8, 3, 5),), "of shape (8, 3, 5) is not supported"),
    "attention that drops": (
        lambda x: F.scaled_dot_product_attention(x, x, x, dropout_p=0.5), (IMAGE,),
        "attention with dropout 0.5 is not supported, expected 0",
    ),
    "circle": (
        lambda x: F.pad(x, (-7, 5, 0, 0), "circular"), (IMAGE,),
        "circular pad by -7 and 5 of an axis of 11, expected at most as many as are left of it",
    ),
    "reflection": (lambda x: F.pad(x, (11, 1, 1, 1), "reflect"), (IMAGE,), "the model fails on them"),
    "view": (
        lambda x: x.contiguous(memory_format=torch.channels_last).view(-1), (IMAGE,),
        "the model fails on them",
    ),
    "shared memory": (lambda x: _expanded(x), (IMAGE,), "writes to elements that share memory"),
}  # fmt: skip


def _expanded(x: torch.Tensor) -> torch.Tensor:
    """Written through a view whose elements share memory."""
    y = x.clone().unsqueeze(0).expand(2, *x.shape)
    y.transpose(0, 1)[y.transpose(0, 1) > 0.5] = 0.5
    return y * 1


def _written(x: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
    """Values where ``x`` is positive."""
    y = x.clone()
    y[x > 0] = values
    return y


@pytest.mark.parametrize("name", REFUSED)
def test_odd_calls_that_are_refused(name: str) -> None:
    compute, shapes, text = REFUSED[name]
    with pytest.raises((NotSupportedError, ModelError)) as caught:
        import_model(Function(compute), random_inputs(*shapes))
    assert text in str(caught.value)
    assert str(caught.value).startswith(("layer ", "model: ", "example_inputs: "))
