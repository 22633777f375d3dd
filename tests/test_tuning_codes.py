"""Layers of 8-bit codes are searched as others are: their keys say what they are, a library takes their records."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from coded import CodedBranch, CodedConv, through_codes
from torch import Tensor, nn
from tuning_case import tasks_of

import sparsecc
from sparsecc.target.records.log import read_log
from sparsecc.tuning.runners.tracker import _error_of_codes
from sparsecc.tuning.tasks import KernelTask

TARGET = "x86-64-v3"
X = torch.randn(1, 3, 8, 8, generator=torch.Generator().manual_seed(0))


class Pair(nn.Module):
    """Two layers of codes, with int8 between them."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first, self.second = CodedConv(8, 16, 3, padding=1), CodedConv(16, 16, density=0.5)

    def forward(self, x: Tensor) -> Tensor:
        x = through_codes(self.first(through_codes(x, 2**-5, 128)), 2**-3, 0, torch.int8)
        return self.second(x)


INPUT = (torch.randn(1, 8, 7, 7, generator=torch.Generator().manual_seed(0)),)


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("codes") / "codes.jsonl"
    tuned = sparsecc.tune(Pair(), TARGET, log=path, trials=8, example_inputs=INPUT)
    assert tuned.bugs == ()
    assert all(layer.us is not None for layer in tuned.layers)
    return path


def test_a_library_takes_the_records_of_a_search(log: Path) -> None:
    records = read_log(log).records
    assert {record.layer.kind for record in records} == {"qconv"}
    library = sparsecc.compile(Pair(), TARGET, example_inputs=INPUT, schedules=log)
    chosen = {step["key"]: step["chosen_by"] for step in library.report.steps}
    assert [chosen[name] for name in ("first", "second")] == ["record", "record"]
    torch.testing.assert_close(library(*INPUT), Pair()(*INPUT), rtol=1e-5, atol=1e-5)


def test_a_wrong_candidate_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = KernelTask.data.func  # type: ignore[attr-defined]

    def bent(task: KernelTask) -> object:
        right = data(task)
        return replace(right, expected=right.expected ^ 2) if right.codes else right

    monkeypatch.setattr(KernelTask, "data", property(bent))
    tuned = sparsecc.tune(Pair(), TARGET, log=tmp_path / "w.jsonl", trials=4, example_inputs=INPUT)
    assert len(tuned.bugs) > 0


def test_every_kind_is_a_task() -> None:
    torch.manual_seed(0)
    found = tasks_of(CodedBranch(density=0.5), X, TARGET)
    assert {"qconv", "qdepthwise"} <= {task.key.kind for task in found}
    assert "generic" not in {task.key.kind for task in found}
    types = {task.data.codes for task in found if task.key.kind.startswith("q")}
    assert types == {"uint8", ""}  # the last layer gives float32
    for task in found:
        assert task.data.expected.dtype == (np.int16 if task.data.codes else np.float32)


def test_codes_may_be_one_off_here_and_there() -> None:
    right = np.array([3] * 60 + [1000], np.int16)
    found = np.full(61, 3, np.uint8)
    found[60] = 9  # where nothing is expected
    assert _error_of_codes(found, right) == 0
    found[:2] = 4
    assert _error_of_codes(found, right) == 0
    found[:3] = 4
    assert _error_of_codes(found, right) == 3 / 60
    found[0] = 6
    assert _error_of_codes(found, right) == 3 / 255
