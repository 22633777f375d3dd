"""Tuning through TVM's tracker, with two devices on this machine."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest
import tvm.rpc
from patience import PATIENCE_S
from tuning_case import example, some, task_of, tiny_net
from tvm.rpc.tracker import Tracker

import sparsecc
from sparsecc.errors import RunnerError
from sparsecc.target.records.log import read_log
from sparsecc.tuning.runners import tracker as runner
from sparsecc.tuning.runners.tracker import TrackerRunner
from sparsecc.tuning.timing import Failure, Timing

HOST = "127.0.0.1"
DEVICES = {"board #0", "board #1"}


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """A tracker with two devices."""
    tracker = Tracker(HOST, port=9190, port_end=9890, silent=True)
    servers = [
        tvm.rpc.Server(HOST, port=9900, port_end=10900, tracker_addr=(HOST, tracker.port), key="board", silent=True)
        for _ in range(2)
    ]
    _wait_for_devices(tracker.port)
    yield f"{HOST}:{tracker.port}"
    for server in servers:
        server.terminate()
    tracker.terminate()


def _wait_for_devices(port: int) -> None:
    """A server registers some time after it was started."""
    deadline = time.monotonic() + PATIENCE_S
    while len(tvm.rpc.connect_tracker(HOST, port).summary()["server_info"]) < len(DEVICES):
        assert time.monotonic() < deadline, "devices don't register"
        time.sleep(0.1)


@pytest.fixture
def _together(monkeypatch):
    """Each device's first candidate waits for the other device's, however long that takes to be set up."""
    barrier, seen, measure = threading.Barrier(len(DEVICES)), set(), runner.Device.measure

    def measure_together(device, number, *, rounds):
        if device.name not in seen:
            seen.add(device.name)
            barrier.wait(PATIENCE_S)
        return measure(device, number, rounds=rounds)

    monkeypatch.setattr(runner.Device, "measure", measure_together)


@pytest.mark.usefixtures("_together")
def test_two_devices_share_the_work(address):
    task = task_of("conv")
    configs = some(task, 12)
    found = dict(TrackerRunner(address, "board").measure(task, configs, threads=1, rounds=2))
    assert set(found) == set(configs)
    assert all(isinstance(outcome, Timing) and outcome.error < 1e-5 for outcome in found.values())
    assert {outcome.cpu for outcome in found.values() if isinstance(outcome, Timing)} == DEVICES


def test_tune_with_two_devices(address, tmp_path):
    log = tmp_path / "tiny.jsonl"
    result = sparsecc.tune(
        tiny_net(), "x86-64-v3", log=log, trials=20, example_inputs=example(), runner=TrackerRunner(address, "board")
    )
    assert sum(found.tried for found in (*result.layers, *result.algorithms)) >= 20
    assert [(pair.names, pair.failed) for pair in result.joins] == [(("stem",), 0)]
    assert {record.cpu for record in read_log(log).records} <= DEVICES
    lib = sparsecc.compile(tiny_net(), "x86-64-v3", example_inputs=example(), schedules=log)
    assert any(step["chosen_by"] == "record" for step in lib.report.steps)


def test_a_wrong_candidate_on_a_device(address, monkeypatch):
    task = task_of("pointwise")
    monkeypatch.setitem(task.__dict__, "data", type(task.data)(task.data.inputs, task.data.expected + 1))
    for _, outcome in TrackerRunner(address, "board").measure(task, some(task, 2), threads=1, rounds=1):
        assert isinstance(outcome, Failure)
        assert outcome.kind == "wrong"


def test_a_key_that_nobody_has(address):
    with pytest.raises(RunnerError, match="no device has the key 'rpi4'; found board"):
        list(TrackerRunner(address, "rpi4").measure(task_of("conv"), [], threads=1, rounds=1))


def test_no_tracker():
    with pytest.raises(RunnerError, match=r"can't be reached .*rpc_tracker"):
        list(TrackerRunner(f"{HOST}:1", "board").measure(task_of("conv"), [], threads=1, rounds=1))
