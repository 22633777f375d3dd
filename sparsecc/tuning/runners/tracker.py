"""Measures on the devices of a TVM RPC tracker, which share every batch."""

from __future__ import annotations

import contextlib
import queue
import socket
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from sparsecc._codegen import export_kernels
from sparsecc._tvm import rpc, tvm
from sparsecc.build.toolchain import find_compiler
from sparsecc.errors import RunnerError, UserError
from sparsecc.kernels.config import Config
from sparsecc.runtime.scratch import scratch_folder
from sparsecc.tuning.tasks import Candidate, Task
from sparsecc.tuning.timing import Failure, Outcome, Round, judge

#: seconds that a device may take for a batch before it cuts the connection: a slow board needs minutes
_SESSION_S = 1800
#: seconds within which a tracker answers
_REACHED_S = 5.0
#: timed calls of a round, after one that is not timed; the caches are flushed before each
_SAMPLES = 3
#: TVM's function that pushes all arguments but the first out of the caches
_FLUSH = "cache_flush_cpu_non_first_arg"
_LIBRARY = "candidates.so"
#: the largest code
_MOST = 255


class TrackerRunner:
    """Measures through a tracker.

    Every device loads the candidates as a library with TVM's calling convention and times them by its own clock, so
    it needs Python and TVM (or TVM's runtime and its C++ server).

    Parameters
    ----------
    address : str
        ``host:port`` of the tracker.
    key : str
        What devices registered as.
    cc : str, optional
        C compiler to link with.
    """

    flat = True

    def __init__(self, address: str, key: str, *, cc: str | None = None) -> None:
        host, _, port = address.rpartition(":")
        if not host or not port.isdigit():
            raise UserError(f"tracker: found {address!r}, expected HOST:PORT such as 192.168.0.1:9190")
        self._host, self._port, self._key, self._cc = host, int(port), key, cc

    @property
    def where(self) -> str:
        """The tracker and the key."""
        return f"{self._key} at {self._host}:{self._port}"

    def measure(
        self, task: Task, configs: Sequence[Config], *, threads: int, rounds: int, first: int = 0
    ) -> Iterator[tuple[Config, Outcome]]:
        """See :class:`~sparsecc.tuning.runners.Runner`; devices take candidates in turns."""
        count = self._devices()
        with scratch_folder() as folder:
            library = folder / _LIBRARY
            candidates = [task.candidate(config) for config in configs]
            compiler = find_compiler(self._cc, triple=task.target.triple)
            link = partial(compiler.run, folder=folder)
            kernels = [made.function for candidate in candidates for _, made in candidate.steps]
            export_kernels(kernels, task.target.llvm, library, link=link)
            waiting: queue.Queue[int] = queue.Queue()
            for number in range(first, len(configs)):
                waiting.put(number)
            batch = _Batch(library, candidates, threads, rounds, waiting, queue.Queue())
            for worker in range(count):
                threading.Thread(target=self._work, args=(batch, worker), daemon=True).start()
            try:
                for number, outcome in _results(batch, workers=count, expected=len(configs) - first):
                    yield configs[number], outcome
            finally:  # workers whose device is busy elsewhere may come back late: nothing is left for them
                with contextlib.suppress(queue.Empty):
                    while True:
                        waiting.get_nowait()

    def _devices(self) -> int:
        """Devices that have registered, busy ones too."""
        try:
            socket.create_connection((self._host, self._port), timeout=_REACHED_S).close()  # TVM would try for a minute
            summary = rpc().connect_tracker(self._host, self._port).summary()
        except (OSError, RuntimeError) as error:
            advice = "start it with python -m tvm.exec.rpc_tracker"
            raise RunnerError(f"tracker {self._host}:{self._port} can't be reached ({error}); {advice}") from error
        count = sum(
            str(server.get("key", "")).removeprefix("server:") == self._key for server in summary["server_info"]
        )
        if not count:
            known = sorted({str(server.get("key", "")).removeprefix("server:") for server in summary["server_info"]})
            found = f"found {', '.join(known)}" if known else "found no device at all"
            raise RunnerError(f"tracker {self._host}:{self._port}: no device has the key {self._key!r}; {found}")
        return count

    def _work(self, batch: _Batch, worker: int) -> None:
        """One device: takes candidates until there are none; a device that can't be set up takes none."""
        try:
            while not batch.waiting.empty():
                device = Device(self._connect(), f"{self._key} #{worker}", batch)
                self._measure(batch, device)
            batch.done.put(None)
        except Exception as error:  # the thread's end must be known to whoever waits for it
            batch.done.put(error)

    def _measure(self, batch: _Batch, device: Device) -> None:
        """Candidates one after another; a connection that is lost takes the one at hand with it."""
        with contextlib.suppress(queue.Empty):
            while True:
                number = batch.waiting.get_nowait()
                try:
                    batch.done.put((number, device.measure(number, rounds=batch.rounds)))
                except (RuntimeError, OSError) as error:  # TVM's errors of a device are RuntimeErrors
                    batch.done.put((number, Failure("lost", _last_line(error))))
                    return

    def _connect(self) -> Any:
        tracker = rpc().connect_tracker(self._host, self._port)
        return tracker.request(self._key, session_timeout=_SESSION_S)


@dataclass(frozen=True, eq=False)
class _Batch:
    """Candidates of one task, shared out over devices: numbers that wait, results, and None for each worker's end."""

    library: Path
    candidates: Sequence[Candidate]
    threads: int
    rounds: int
    waiting: queue.Queue[int]
    done: queue.Queue[tuple[int, Outcome] | Exception | None]


def _results(batch: _Batch, *, workers: int, expected: int) -> Iterator[tuple[int, Outcome]]:
    """Results as they come, until all are there; devices that can't be set up are left out while others can."""
    problems: list[Exception] = []
    found = 0
    while found < expected:
        if not workers:
            raise RunnerError(
                f"tracker: no device can be used: {_last_line(problems[-1]) if problems else 'all ended'}"
            )
        result = batch.done.get()
        if isinstance(result, tuple):
            found += 1
            yield result
            continue
        workers -= 1
        if result is not None:
            problems.append(result)


def _last_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[-1]


class Device:
    """A session with the candidates loaded and their arguments in its memory."""

    def __init__(self, session: Any, name: str, batch: _Batch) -> None:
        self.name, self._candidates = name, batch.candidates
        session.upload(str(batch.library), _LIBRARY)
        self._module, self._cpu = session.load_module(_LIBRARY), session.cpu(0)
        session.get_function("runtime.config_threadpool")(1, batch.threads)
        self._arrays: dict[int, Any] = {}
        self._outputs: dict[tuple[int, int], Any] = {}
        self._calls = [self._arguments(candidate) for candidate in batch.candidates]

    def measure(self, number: int, *, rounds: int) -> Outcome:
        """Check a candidate and time it in turns with the first one."""
        data, calls = self._candidates[number].data, self._calls[number]
        output = calls[-1][-1]
        output.copyfrom(np.zeros(data.expected.shape, data.codes or np.float32))
        self._put_input(number)
        for i, arguments in enumerate(calls):
            self._module[self._symbol(number, i)](*arguments)
        error = _error_of_codes(output.numpy(), data.expected) if data.codes else _error(output.numpy(), data.expected)
        timed = [Round(0.0, self._ns(0), self._ns(number)) for _ in range(rounds)]
        return judge(timed, error=error, cpu=self.name)

    def _ns(self, number: int) -> float:
        """Nanoseconds of a candidate's kernels, each with its input in the cache."""
        total = 0.0
        self._put_input(number)
        for i, arguments in enumerate(self._calls[number]):
            symbol = self._symbol(number, i)
            timed = self._module.time_evaluator(symbol, self._cpu, number=1, repeat=_SAMPLES, f_preproc=_FLUSH)
            total += float(np.median(timed(*arguments).results)) * 1e9
        return total

    def _put_input(self, number: int) -> None:
        """What is there before a kernel that works in place; the runs of one timing go on with each other's results."""
        replaced = self._candidates[number].replaced
        if replaced is not None:
            self._calls[number][-1][-1].copyfrom(replaced)

    def _symbol(self, number: int, step: int) -> str:
        """Name of a candidate's kernel: they are numbered through."""
        return f"candidate_{sum(len(candidate.steps) for candidate in self._candidates[:number]) + step}"

    def _arguments(self, candidate: Candidate) -> list[list[Any]]:
        """What each of its kernels is called with."""
        placed, places = candidate.placed, candidate.places
        tensors = {t: self._once(values) for t, values in candidate.data.inputs.items() if t not in places}
        for node, _ in candidate.steps:
            tensor = places.get(node.output, node.output)
            place = id(placed), tensor
            if place not in self._outputs:  # zeros: kernels leave gaps between rows as they are
                self._outputs[place] = self._remote(np.zeros(placed.size(tensor), placed.type_of(tensor).dtype))
            tensors[node.output] = self._outputs[place]
        return [
            [tensors[a] if isinstance(a, int) else self._once(a) for a in made.arguments] for _, made in candidate.steps
        ]

    def _once(self, array: Any) -> Any:
        if id(array) not in self._arrays:
            self._arrays[id(array)] = self._remote(np.ascontiguousarray(array))
        return self._arrays[id(array)]

    def _remote(self, array: Any) -> Any:
        return tvm.runtime.tensor(array, device=self._cpu)


def _error_of_codes(found: Any, expected: Any) -> float:
    """As the measuring program says it: one code in fifty may be one off."""
    compared = expected <= _MOST
    apart = np.abs(found[compared].astype(np.int32) - expected[compared].astype(np.int32))
    off, most = int(np.count_nonzero(apart)), int(apart.max(initial=0))
    return most / _MOST if most > 1 else off / apart.size if off > 1 + apart.size // 50 else 0.0


def _error(found: Any, expected: Any) -> float:
    compared = ~np.isnan(expected)
    if not np.isfinite(found[compared]).all():
        return float("inf")
    largest = float(np.abs(expected[compared]).max()) or 1.0
    return float(np.abs(found[compared] - expected[compared]).max()) / largest
