"""ONNX's recurrent layers, a step of the sequence after another."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from sparsecc.importer.onnx.node import Node

#: steps of a sequence that are written out: each is some kernels
_MOST_STEPS = 64
_DEFAULT = {"LSTM": ["sigmoid", "tanh", "tanh"], "GRU": ["sigmoid", "tanh"], "RNN": ["tanh"]}
_FUNCTIONS: dict[str, Callable[[Tensor], Tensor]] = {"sigmoid": torch.sigmoid, "tanh": torch.tanh, "relu": torch.relu}
Gates = list[Callable[[Tensor], Tensor]]


def recurrent(
    node: Node,
    x: Tensor,
    w: Tensor,
    r: Tensor,
    b: Tensor | None = None,
    lengths: Tensor | None = None,
    h0: Tensor | None = None,
    c0: Tensor | None = None,
    p: Tensor | None = None,
) -> tuple[Tensor, ...]:
    """LSTM, GRU or RNN; results are the whole sequence, the last state and, of an LSTM, the last cell."""
    x = x.transpose(0, 1) if node.get("layout", 0) else x
    _check(node, x)
    count, hidden = w.shape[0], r.shape[-1]
    names = [name.decode().lower() for name in node.get("activations", list[bytes]())]
    names = names or _DEFAULT[node.op] * count
    if not all(name in _FUNCTIONS for name in names):
        raise node.refuse(f"activations {names}", "Sigmoid, Tanh and Relu")
    each = len(_DEFAULT[node.op])
    outputs, states, cells = [], [], []
    for i in range(count):
        gates = [_FUNCTIONS[name] for name in names[i * each : (i + 1) * each]]
        zeros = torch.zeros((x.shape[1], hidden), dtype=x.dtype, device=x.device)
        start = [zeros if s is None else (s[:, i] if node.get("layout", 0) else s[i]) for s in (h0, c0)]
        backwards = node.get("direction", b"forward") == b"reverse" or i == 1
        bias = torch.zeros_like(w[i, :, 0]).repeat(2) if b is None else b[i]
        ys, h, c = _direction(node, x, (w[i], r[i], bias, None if p is None else p[i]), start, gates, backwards)
        outputs.append(ys)
        states.append(h)
        cells.append(c)
    y, last, cell = torch.stack(outputs, 1), torch.stack(states), torch.stack(cells)
    if node.get("layout", 0):
        y, last, cell = y.permute(2, 0, 1, 3), last.transpose(0, 1), cell.transpose(0, 1)
    return (y, last, cell)[: 3 if node.op == "LSTM" else 2]


def _check(node: Node, x: Tensor) -> None:
    if x.shape[0] > _MOST_STEPS:
        raise node.refuse(f"a sequence of {x.shape[0]} steps", f"at most {_MOST_STEPS}")
    if node.has(4) and set(node.ints(4, "sequence_lens")) != {x.shape[0]}:
        raise node.refuse("sequence_lens shorter than the sequence", "sequences of one length")
    if "clip" in node.attributes or node.get("input_forget", 0):
        raise node.refuse("clip or input_forget", "neither")


def _direction(
    node: Node, x: Tensor, weights: tuple[Tensor, Tensor, Tensor, Tensor | None], start: list[Tensor], gates: Gates,
    backwards: bool,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    w, r, bias, peephole = weights
    half = bias.shape[0] // 2
    h, c = start
    given = F.linear(x, w, bias[:half])  # of all steps at once
    steps = range(x.shape[0])
    found = {}
    for t in reversed(steps) if backwards else steps:
        if node.op == "LSTM":
            h, c = _lstm(given[t] + F.linear(h, r, bias[half:]), c, peephole, gates)
        elif node.op == "GRU":
            h = _gru(node, given[t], h, r, bias[half:], gates)
        else:
            h = gates[0](given[t] + F.linear(h, r, bias[half:]))
        found[t] = h
    return torch.stack([found[t] for t in steps]), h, c


def _lstm(total: Tensor, c: Tensor, peephole: Tensor | None, gates: Gates) -> tuple[Tensor, Tensor]:
    i, o, f, new = torch.chunk(total, 4, 1)
    if peephole is not None:
        pi, po, pf = torch.chunk(peephole, 3)
        i, f = i + pi * c, f + pf * c
    c = gates[0](f) * c + gates[0](i) * gates[1](new)
    o = o if peephole is None else o + po * c
    return gates[0](o) * gates[2](c), c


def _gru(node: Node, given: Tensor, h: Tensor, r: Tensor, bias: Tensor, gates: Gates) -> Tensor:
    size = h.shape[1]
    both = gates[0](given[:, : 2 * size] + F.linear(h, r[: 2 * size], bias[: 2 * size]))
    z, reset = torch.chunk(both, 2, 1)
    if node.get("linear_before_reset", 0):
        new = gates[1](given[:, 2 * size :] + reset * F.linear(h, r[2 * size :], bias[2 * size :]))
    else:
        new = gates[1](given[:, 2 * size :] + F.linear(reset * h, r[2 * size :], bias[2 * size :]))
    return (1 - z) * new + z * h


RECURRENT: dict[str, Callable[..., object]] = {"LSTM": recurrent, "GRU": recurrent, "RNN": recurrent}
