"""Values that users give to pruners: every kind of number that is one, and what is said of the others."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from prune_case import net, optimizer_of, subp

from sparsecc import prune
from sparsecc.errors import UserError


@pytest.mark.parametrize("number", [np.int64(4), np.uint8(4), torch.tensor(4)])
def test_whole_numbers_of_every_kind(number):
    found = prune.OneByN(number, np.float32(0.5), rates={"3": np.float64(0.25)})
    found.apply(net())
    assert type(found.n) is int
    assert found.sparsities() == {"3": 0.25, "8": 0.5, "10": 0.5}
    found.step(np.int64(1))
    assert type(found.state_dict()["epoch"]) is int
    ramp = subp(n=number, decay_start=np.int32(0), decay_end=number, temperature=np.float32(1), soft=np.bool_(True))
    model = net()
    ramp.apply(model, optimizer=optimizer_of(model))
    ramp.step(number)
    assert ramp.done
    assert prune.Darb(np.float64(0.5), max_block=np.int64(16)).max_block == 16
    assert prune.Bmwm(number).sparsity == 0.75
    assert prune.Guided(prune.OneByN(4, 0.5), {}, patience=np.int64(2)).patience == 2
    assert prune.group_channels(torch.ones(8, 8), number, np.float64(0.5)).order.numel() == 8


WRONG = {
    "OneByN: sparsity: found '0.5', expected a share": lambda: prune.OneByN(4, "0.5"),
    "OneByN: sparsity: found nan": lambda: prune.OneByN(4, float("nan")),
    "OneByN: sparsity: found True": lambda: prune.OneByN(4, True),
    "OneByN: sparsity: found None": lambda: prune.OneByN(4, None),
    "OneByN: n: found '4', expected a whole number": lambda: prune.OneByN("4", 0.5),
    "OneByN: n: found 4.0": lambda: prune.OneByN(4.0, 0.5),
    "OneByN: n: found True": lambda: prune.OneByN(True, 0.5),
    "OneByN: layers: found the text '0', expected a list": lambda: prune.OneByN(4, 0.5, layers="0"),
    "OneByN: layers: found 3, expected a list": lambda: prune.OneByN(4, 0.5, layers=3),
    r"Subp: exclude: found \[3\], expected a list": lambda: subp(exclude=[3]),
    "Darb: exclude: found the text 'a'": lambda: prune.Darb(0.5, exclude="a"),
    r"OneByN: rates: found \['3'\], expected a mapping": lambda: prune.OneByN(4, 0.5, rates=["3"]),
    "OneByN: rates: found {3: 0.5}": lambda: prune.OneByN(4, 0.5, rates={3: 0.5}),
    "OneByN: rate of '3': found '0.5'": lambda: prune.OneByN(4, 0.5, rates={"3": "0.5"}),
    "OneByN: norm: found 1, expected one of": lambda: prune.OneByN(4, 0.5, norm=1),
    r"OneByN: rearrange: found \[\], expected one of": lambda: prune.OneByN(4, 0.5, rearrange=[]),
    "Subp: decay_start: found '1'": lambda: subp(decay_start="1"),
    "Subp: decay_end: found 4.5": lambda: subp(decay_end=4.5),
    "Subp: schedule: found 3, expected one of 'cubic'": lambda: subp(schedule=3),
    "Subp: schedule: found 'step', expected one of": lambda: subp(schedule="step"),
    "Subp: alpha: found nan, expected a finite number": lambda: subp(alpha=float("nan")),
    "Subp: alpha: found '1'": lambda: subp(alpha="1"),
    "Subp: temperature: found 0, expected a finite number above 0": lambda: subp(temperature=0),
    "Subp: temperature: found inf": lambda: subp(temperature=float("inf")),
    "Subp: decay: found '0', expected a finite number of 0 or more": lambda: subp(decay="0"),
    "Subp: soft: found 'False', expected True or False": lambda: subp(soft="False"),
    "Subp: seed: found 'x'": lambda: subp(seed="x"),
    "Darb: max_block: found '16'": lambda: prune.Darb(0.5, max_block="16"),
    "Darb: max_block: found 24, expected a power of two": lambda: prune.Darb(0.5, max_block=24),
    "Bmwm: block_size: found 1.5": lambda: prune.Bmwm(1.5),
    "Bmwm: unit: found None": lambda: prune.Bmwm(4, unit=None),
    "Bounds: lower: found '0.1'": lambda: prune.Bounds("0.1", 0.5),
    "Bounds: upper: found nan": lambda: prune.Bounds(0.1, float("nan")),
    "Bounds: potential: found 'no'": lambda: prune.Bounds(0.1, 0.5, "no"),
    "Guided: patience: found '1'": lambda: prune.Guided(prune.OneByN(4, 0.5), {}, patience="1"),
    "OneByN: limit of '3': found '1'": lambda: prune.OneByN(4, 0.5).apply(net(), limits={"3": "1"}),
    "group_channels: sparsity: found '1'": lambda: prune.group_channels(torch.ones(4, 4), 2, "1"),
}


@pytest.mark.parametrize("message", WRONG)
def test_values_that_are_refused(message):
    with pytest.raises(UserError, match=message):
        WRONG[message]()
