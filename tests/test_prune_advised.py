"""What the documentation says works together: pruners, guided sparsity learning, the advisor and the compiler."""

from __future__ import annotations

import json

import pytest
import torch
from prune_case import PRUNED, net, optimizer_of, subp, train

import sparsecc
from sparsecc import prune
from sparsecc.errors import UserError

X = torch.randn(1, 3, 8, 8, generator=torch.Generator().manual_seed(0))
#: every pruner of whole blocks, and the N that an advisor is asked for
PRUNERS = {
    "one_by_n": (4, lambda: prune.OneByN(n=4, sparsity=0.75)),
    "rearranged": (4, lambda: prune.OneByN(n=4, sparsity=0.75, rearrange="cluster")),
    "subp": (4, lambda: subp(sparsity=0.75)),
    "darb": (1, lambda: prune.Darb(0.75, unit="kernel")),
    "bmwm": (1, lambda: prune.Bmwm(4, unit="kernel")),
}


class Told:
    """An advisor of the user's own; ``limits`` stands in for what it knows."""

    def __init__(self, limits):
        self._limits = limits

    def bounds(self):
        return self._limits


#: every form of an advisor that the documentation names
ADVISORS = {
    "advice": lambda advice, n: advice,
    "read": lambda advice, n: sparsecc.Advice.from_json(json.loads(json.dumps(advice.to_json()))),
    "its bounds": lambda advice, n: advice.bounds(n),
    "object": lambda advice, n: Told(advice.bounds(n)),
    "mapping": lambda advice, n: {
        name: prune.Bounds(min(b.lower, b.upper), b.upper, b.potential) for name, b in advice.bounds(n).items()
    },
}


@pytest.fixture(scope="module")
def advice():
    return sparsecc.advise(net().eval(), "x86-64-v3", n=(1, 4), example_inputs=(X,), schedules=None)


@pytest.mark.parametrize("advisor", ADVISORS)
@pytest.mark.parametrize("pruner", PRUNERS)
def test_guided_by_advice(pruner, advisor, advice):
    n, make = PRUNERS[pruner]
    bounds = advice.bounds(n)
    assert set(PRUNED) <= set(bounds)

    def guided():
        model = net()
        found, optimizer = prune.Guided(make(), ADVISORS[advisor](advice, n)), optimizer_of(model)
        return found.apply(model, optimizer=optimizer), found, optimizer

    model, found, optimizer = guided()
    train(model, found, optimizer, range(2))
    useful = {name for name in PRUNED if bounds[name].potential}
    assert set(found.sparsities()) == useful
    assert all(sparsity <= bounds[name].upper for name, sparsity in found.sparsities().items())
    again, resumed, second = guided()
    again.load_state_dict(model.state_dict())
    second.load_state_dict(optimizer.state_dict())
    resumed.load_state_dict(found.state_dict())
    train(again, resumed, second, range(2, 6))
    before = resumed.sparsities()
    assert "layers" in str(resumed.report())
    resumed.finalize()
    assert prune.report(again).sparsity > 0
    assert all(before[name] == 0 or before[name] >= bounds[name].lower for name in useful)


def test_a_guided_network_is_compiled(advice):
    model = net()
    guided = prune.Guided(prune.OneByN(n=4, sparsity=0.75), advice)
    guided.apply(model)
    expected = model.eval()(X)
    lib = sparsecc.compile(model, "native", example_inputs=(X,), schedules=None)
    torch.testing.assert_close(lib(X), expected, rtol=1e-4, atol=1e-5)


MISTAKES = {
    r"found N = 8, expected one of \[1, 4\]; ask advise for it": lambda a: prune.Guided(prune.OneByN(8, 0.5), a),
    "Darb prunes single weights; use unit='kernel'": lambda a: prune.Guided(prune.Darb(0.5), a),
    "advisor: found int, expected a mapping": lambda a: prune.Guided(prune.OneByN(4, 0.5), 3),
    r"bounds\(\) gave list, expected a mapping": lambda a: prune.Guided(prune.OneByN(4, 0.5), Told(["3"])),
    "found 0.5 for layer '3', expected bounds": lambda a: prune.Guided(prune.OneByN(4, 0.5), {"3": 0.5}),
    "pruner: found float, expected a pruner": lambda a: prune.Guided(0.5, a),
}


@pytest.mark.parametrize("message", MISTAKES)
def test_mistakes_show_before_training(message, advice):
    with pytest.raises(UserError, match=message):
        MISTAKES[message](advice)
