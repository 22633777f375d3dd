"""Services on the loopback interface: two networks, requests of one to eight images, and a reload while they run."""

from __future__ import annotations

import io
import socket
import subprocess
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from patience import PATIENCE_S
from torch import nn

import sparsecc

Images = NDArray[np.float32]
REQUESTS = 200
#: images of one request, at most
MOST = 8


@dataclass(frozen=True)
class Served:
    """The file that a service has, two networks to put there, and what each makes of images."""

    path: Path
    networks: tuple[bytes, bytes]
    images: Images
    wanted: tuple[Images, Images]

    def put(self, which: int) -> None:
        """Write a network over the file, in place."""
        self.path.write_bytes(self.networks[which])

    def which(self, found: Images, count: int) -> int:
        """The network whose results these are, to the bit; StopIteration if they are wrong."""
        return next(i for i, results in enumerate(self.wanted) if np.array_equal(found, results[:count]))


def served(path: Path, *, batch: int) -> Served:
    """Two networks of one form, the first of them in the file."""
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()).eval()
    images = np.random.default_rng(0).standard_normal((MOST, 3, 10, 10)).astype(np.float32)
    networks, wanted = [], []
    for _ in range(2):
        library = sparsecc.compile(model, example_inputs=(torch.zeros(batch, 3, 10, 10),), threads=1)
        library.save(path)
        networks.append(path.read_bytes())
        wanted.append(np.concatenate([library(images[i : i + batch]) for i in range(0, MOST, batch)]))
        model[0].weight.data *= -2
    made = Served(path, (networks[0], networks[1]), images, (wanted[0], wanted[1]))
    made.put(0)
    return made


def under_load(served: Served, send: Callable[[Images], Images], reload: Callable[[], None]) -> Sequence[int]:
    """Which network answered each request; in the middle of them the file is replaced and loaded.

    Parameters
    ----------
    send : callable
        Sends images to the service and gives its results.
    reload : callable
        Has the service load the file, and returns when all that begins then meets the new network.
    """

    def request(number: int) -> int:
        count = 1 + number % MOST
        if number == REQUESTS // 2:
            served.put(1)
            reload()
        return served.which(send(served.images[:count]), count)

    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(request, range(REQUESTS)))
    assert found[0] == 0
    assert [request(number) for number in range(REQUESTS, REQUESTS + MOST)] == [1] * MOST
    return found


def free_port() -> int:
    """A port that nobody listens to now."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def ask(port: int, method: str, path: str, body: bytes = b"") -> tuple[int, bytes]:
    """Status and body of one HTTP request to this machine."""
    connection = HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)
    try:
        connection.request(method, path, body)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def as_npy(array: Images) -> bytes:
    """The array as a file of its own."""
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def predict(port: int, path: str, images: Images) -> Images:
    """Results of images that are sent and come back as .npy."""
    status, body = ask(port, "POST", path, as_npy(images))
    assert status == 200, body
    return np.asarray(np.load(io.BytesIO(body)), np.float32)


def until(ready: Callable[[], bool], process: subprocess.Popen[bytes] | None = None) -> None:
    """Wait for a service; TimeoutError where it takes longer than anything takes, or has ended."""
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end and (process is None or process.poll() is None):
        try:
            if ready():
                return
        except OSError:
            pass  # it does not listen yet
        time.sleep(0.05)
    raise TimeoutError("the service is not ready")
