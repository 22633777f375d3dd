"""Processes with a compiled library: forked, without a compiler, and what loading leaves behind."""

from __future__ import annotations

import os
import pickle
import resource
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import kernels_c
import numpy as np
import pytest
from forked import in_child
from kernels_c import X, Y
from patience import PATIENCE_S

from sparsecc.errors import InternalError, LibraryError
from sparsecc.runtime import Library, load

ROOT = Path(__file__).parent.parent


def threads_now() -> int:
    return len(os.listdir("/proc/self/task"))


def test_fork_while_another_thread_runs() -> None:
    library, stop = load(kernels_c.tiny_library(), threads=2), threading.Event()
    library(X)

    def busy() -> None:
        while not stop.is_set():
            library(X)

    def child() -> bool:
        same = all(np.array_equal(library(X), Y) for _ in range(5))
        library.threads = 3
        same = same and np.array_equal(library(X), Y) and threads_now() == 3
        fresh = load(kernels_c.tiny_library(), threads=2)
        same = same and np.array_equal(fresh(X), Y)
        library.close()
        return same

    worker = threading.Thread(target=busy)
    worker.start()
    try:
        assert all(in_child(child) for _ in range(10))
    finally:
        stop.set()
        worker.join()
    np.testing.assert_array_equal(library(X), Y)


def test_pickle_goes_by_path(library: Library) -> None:
    again = pickle.loads(pickle.dumps(library))
    assert again.path == library.path
    np.testing.assert_array_equal(again(X), Y)


def test_a_process_without_torch_and_tvm() -> None:
    program = """
import sys
class Block:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("torch", "tvm", "tvm_ffi", "ziglang"):
            raise ImportError(name)
sys.meta_path.insert(0, Block())
import numpy as np
from sparsecc.runtime import load
y = load(sys.argv[1])(np.ones((3, 5, 7), "float32"))
print(y.shape, *sorted({m.split(".")[1] for m in sys.modules if m.startswith("sparsecc.")}))
"""
    command = [sys.executable, "-c", program, str(kernels_c.tiny_library())]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=PATIENCE_S)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "(3, 5, 7) errors runtime text untrusted version"


def test_loading_gives_everything_back() -> None:
    def open_files() -> list[str]:
        return sorted(os.listdir("/proc/self/fd"))

    load(kernels_c.tiny_library(), threads=2)(X)
    kept, files, threads = load(kernels_c.tiny_library(), threads=1), open_files(), threads_now()
    for _ in range(30):
        with load(kernels_c.tiny_library(), threads=3) as library:
            library(X)
    assert (open_files(), threads_now()) == (files, threads)
    np.testing.assert_array_equal(kept(X), Y)
    path = str(kernels_c.library_of("k_threads"))
    for _ in range(1100):  # more than a process has thread-specific keys, or static thread-local storage
        load(path, threads=1)()
    assert (open_files(), threads_now()) == (files, threads)
    assert "k_threads" not in Path("/proc/self/maps").read_text()


@pytest.fixture
def copies(tmp_path: Path) -> Callable[[int], Library]:
    """Number -> a library like no other, loaded."""

    def load_copy(number: int) -> Library:
        path = tmp_path / f"{number}.so"
        shutil.copy(kernels_c.tiny_library(), path)
        try:
            return load(path, threads=1)
        finally:
            path.unlink()

    return load_copy


def test_more_libraries_at_once_than_a_process_has_thread_specific_keys(copies: Callable[[int], Library]) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 1050  # of 1024
    assert hard == resource.RLIM_INFINITY or hard > wanted + 100, "this test needs open files: raise ulimit -Hn"
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted + 100), hard))
    try:
        libraries = [copies(number) for number in range(wanted)]
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    for library in libraries[::50] + libraries[-2:]:
        library.threads = 3
        np.testing.assert_array_equal(library(X), Y)
    for library in libraries:  # the last ones' errors have no key, and are told all the same
        with pytest.raises(InternalError, match=r"^tiny: set_threads needs an instance and 0"):
            library._live().set_threads(-1)


def test_no_more_open_files(tmp_path: Path) -> None:
    paths = [shutil.copy(kernels_c.tiny_library(), tmp_path / f"{i}.so") for i in range(7)]
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    fillers = [os.open(os.devnull, os.O_RDONLY) for _ in range(100)]  # no number below the last one's is free
    opened = fillers[-1] + 1
    libraries, messages = [], []
    for spare, path in enumerate(paths):  # each place where a file is opened is the first without one
        resource.setrlimit(resource.RLIMIT_NOFILE, (opened + spare, hard))
        try:
            libraries.append(load(path, threads=1))
        except LibraryError as error:
            messages.append(str(error))
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    said = "can't be read: Too many open files; each loaded library has one file open: close some, or allow more"
    assert messages
    for filler in fillers:
        os.close(filler)
    assert all(said in message for message in messages)
    np.testing.assert_array_equal(libraries[-1](X), Y)


def test_fork_after_libraries_were_unloaded() -> None:
    """Nothing that the C library calls at a fork may be left of a library that is gone."""
    code = (
        "import gc, numpy, os, sys, sparsecc\n"
        "for threads in (1, 2):\n"
        "    lib = sparsecc.load(sys.argv[1], threads=threads)\n"
        "    lib(*(numpy.zeros(port.shape, port.dtype) for port in lib.inputs))\n"
        "    lib.close()\n"
        "    del lib\n"
        "    gc.collect()\n"
        "child = os.fork()\n"
        "if not child:\n"
        "    os._exit(0)\n"
        "sys.exit(os.waitpid(child, 0)[1])\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(kernels_c.tiny_library())], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
