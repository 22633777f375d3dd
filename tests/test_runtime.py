"""Compiled libraries from Python: loading, calling, threads, processes, and every way a file can be wrong."""

from __future__ import annotations

import contextlib
import os
import pickle
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import kernels_c
import numpy as np
import pytest

from sparsecc.build import build_library
from sparsecc.errors import InputError, InternalError, LibraryError, OutputError, UserError
from sparsecc.runtime import Library, Port, load, read_description
from sparsecc.runtime.format import FORMAT

ROOT = Path(__file__).parent.parent
X = np.random.default_rng(1).standard_normal(kernels_c.SHAPE).astype("float32")
Y = kernels_c.tiny_reference(X)


@pytest.fixture(scope="module")
def library() -> Library:
    return load(kernels_c.tiny_library())


@pytest.fixture(scope="module")
def pair() -> Library:
    return load(kernels_c.build(kernels_c.two_ports()))


def threads_now() -> int:
    return len(os.listdir("/proc/self/task"))


# --- calling -------------------------------------------------------------------------------------------------------


def test_numpy_in_numpy_out(library: Library) -> None:
    y = library(X)
    assert isinstance(y, np.ndarray)
    np.testing.assert_array_equal(y, Y)
    assert library.inputs == (Port("x", (3, 5, 7), "float32"),)
    assert library.outputs == (Port("y", (3, 5, 7), "float32"),)
    assert (library.target, library.report) == ("x86-64", {"layers": []})
    assert library.description["arena_bytes"] > 0
    assert "tiny(x[3, 5, 7]) -> y[3, 5, 7]" in repr(library)


def test_strided_and_foreign_inputs(library: Library) -> None:
    wide = np.zeros((3, 5, 14), "float32")
    wide[..., ::2] = X
    transposed = np.ascontiguousarray(X.transpose(2, 1, 0)).transpose(2, 1, 0)
    unaligned = np.frombuffer(b"\0" + X.tobytes(), "float32", offset=1).reshape(X.shape)
    read_only = X.copy()
    read_only.flags.writeable = False

    class Exporter:
        def __dlpack__(self, **options: Any) -> Any:
            return X.__dlpack__(**options)

        def __dlpack_device__(self) -> Any:
            return X.__dlpack_device__()

    for x in (wide[..., ::2], transposed, unaligned, read_only, Exporter()):
        np.testing.assert_array_equal(library(x), Y)


def test_several_inputs_and_outputs(pair: Library) -> None:
    c, d = pair(X, 2 * X)
    np.testing.assert_array_equal(c, Y)
    np.testing.assert_array_equal(d, kernels_c.tiny_reference(2 * X))
    out = (np.empty_like(X), np.empty_like(X))
    result = pair(X, 2 * X, out=out)
    assert result[0] is out[0]
    assert result[1] is out[1]
    np.testing.assert_array_equal(out, (c, d))


def test_out_is_written_in_place_even_over_the_input(library: Library) -> None:
    out = np.empty_like(X)
    assert library(X, out=out) is out
    np.testing.assert_array_equal(out, Y)
    (same,) = library(X, out=(out,))
    assert same is out
    x = X.copy()
    library(x, out=x)
    np.testing.assert_array_equal(x, Y)


def test_torch_in_torch_out(library: Library, pair: Library) -> None:
    torch = pytest.importorskip("torch")
    x = torch.from_numpy(X.copy()).requires_grad_()
    y = library(x)
    assert isinstance(y, torch.Tensor)
    assert not y.requires_grad
    np.testing.assert_array_equal(y.numpy(), Y)
    strided = torch.zeros(3, 5, 14)[..., ::2].copy_(x.detach())
    assert torch.equal(library(strided), y)
    negative = torch.complex(torch.zeros(3, 5, 7), -x.detach()).conj().imag  # a view that stores -x
    assert negative.is_neg()
    assert torch.equal(library(negative), y)
    out = torch.empty(3, 5, 7)
    assert library(X, out=out) is out
    assert torch.equal(out, y)
    assert all(isinstance(v, torch.Tensor) for v in pair(x, X))


def wrong_arguments() -> dict[str, tuple[Callable[[Library], Any], str]]:
    good = np.empty_like(X)
    return {
        "count": (lambda lib: lib(X, X), r"tiny: found 2 input\(s\), expected 1 \(x\)"),
        "shape": (lambda lib: lib(X[:2]), r"input 0 \(x\): found shape \(2, 5, 7\), expected \(3, 5, 7\)"),
        "dtype": (lambda lib: lib(X.astype("float64")), "found dtype float64, expected float32"),
        "half": (lambda lib: lib(X.astype("float16")), "found dtype float16, expected float32"),
        "byte order": (lambda lib: lib(X.astype(">f4")), "found dtype >f4, expected float32"),
        "object": (lambda lib: lib(object()), "found object, expected a NumPy array"),
        "ragged": (lambda lib: lib([[1.0], [1.0, 2.0]]), "found list, which NumPy can't read"),
        "out count": (lambda lib: lib(X, out=(good, good)), r"found 2 output\(s\), expected 1 \(y\)"),
        "out shape": (lambda lib: lib(X, out=good[:1]), r"out 0 \(y\): found shape \(1, 5, 7\)"),
        "out dtype": (lambda lib: lib(X, out=np.empty(X.shape, "int32")), "found dtype int32"),
        "out list": (lambda lib: lib(X, out=[1.0]), "found float, expected a NumPy array or torch tensor"),
        "out strided": (lambda lib: lib(X, out=np.empty((3, 5, 14), "float32")[..., ::2]), "expected a contiguous"),
        "out read-only": (lambda lib: lib(X, out=np.broadcast_to(np.float32(0), X.shape)), "expected a contiguous"),
    }


@pytest.mark.parametrize("case", wrong_arguments())
def test_wrong_arguments_are_named(library: Library, case: str) -> None:
    call, message = wrong_arguments()[case]
    with pytest.raises(InputError, match=message):
        call(library)


def test_wrong_tensors_are_named(library: Library) -> None:
    torch = pytest.importorskip("torch")
    x = torch.from_numpy(X.copy())
    for wrong, message in [
        (x.double(), "found dtype float64"),
        (x.bfloat16(), "found dtype bfloat16"),
        (x[:1], r"found shape \(1, 5, 7\)"),
        (x.to("meta"), "on device meta, expected device cpu"),
        (x.to_sparse(), "expected a dense tensor"),
    ]:
        with pytest.raises(InputError, match=rf"tiny, input 0 \(x\): .*{message}"):
            library(wrong)
    for out in (torch.empty(3, 5, 14)[..., ::2], torch.empty(3, 5, 7, requires_grad=True)):
        with pytest.raises(InputError, match="contiguous tensor that does not require"):
            library(x, out=out)


def test_outputs_must_not_share_memory(pair: Library) -> None:
    out = np.empty_like(X)
    with pytest.raises(InputError, match="out 0 and out 1 share memory"):
        pair(X, X, out=(out, out))


# --- threads -------------------------------------------------------------------------------------------------------


def test_any_number_of_threads_gives_the_same_bits() -> None:
    library = load(kernels_c.tiny_library(), threads=1)
    first = library(X).tobytes()
    for threads in (1, 2, 3, 7, 2, 1):
        library.threads = threads
        assert library.threads == threads
        assert all(library(X).tobytes() == first for _ in range(20))
    library.threads = 0
    assert library.threads == len(os.sched_getaffinity(0))
    for wrong in (-1, 1.5, "2"):
        with pytest.raises(UserError, match="expected a number of threads"):
            library.threads = wrong  # type: ignore[assignment]


def test_threads_are_capped() -> None:
    with load(kernels_c.library_of("k_launch"), threads=100_000) as library:
        assert library.threads <= 256


@pytest.mark.parametrize(("kernel", "most"), [("k_threads", 8), ("k_two_threads", 2)])
def test_launches_use_all_threads_and_nested_ones_one(kernel: str, most: int) -> None:
    for threads in (1, 2, 3, 5):
        used = min(threads, most)
        y = load(kernels_c.library_of(kernel), threads=threads)()
        np.testing.assert_array_equal(y[: 2 * used : 2], [1 + used] * used)
        np.testing.assert_array_equal(y[1 : 2 * used : 2], [1] * used)
        assert not y[2 * used :].any()


def test_a_failing_task_fails_the_run_with_its_layer() -> None:
    for threads in (1, 3):
        library = load(kernels_c.library_of("k_fail"), threads=threads)
        for _ in range(3):
            with pytest.raises(InternalError, match=r"fail: step 0 \(fail\) failed with code 7"):
                library()


def test_two_instances_run_at_once_and_one_takes_turns(library: Library) -> None:
    other, wrong = load(kernels_c.tiny_library(), threads=2), []

    def work(lib: Library, factor: float) -> None:
        expected = kernels_c.tiny_reference(np.float32(factor) * X)
        wrong.extend(i for i in range(300) if not np.array_equal(lib(np.float32(factor) * X), expected))

    workers = [threading.Thread(target=work, args=(lib, f)) for f in (1, 2, 3) for lib in (library, other)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert not wrong


def test_closing_waits_for_nobody_and_breaks_nothing() -> None:
    library, done = load(kernels_c.library_of("k_slow"), threads=2), []
    worker = threading.Thread(target=lambda: done.append(library()))
    worker.start()
    time.sleep(0.005)
    library.close()
    worker.join()
    assert len(done) == 1
    with pytest.raises(LibraryError, match="closed; load it again"):
        library()


def test_denormals_are_zero_inside_and_untouched_outside() -> None:
    library = load(kernels_c.tiny_library(), threads=2)
    tiny_number = np.float32(1e-40)
    y = library(np.full(kernels_c.SHAPE, tiny_number))
    np.testing.assert_array_equal(y[2], 0)
    assert tiny_number * np.float32(1) != 0


def test_profile(library: Library) -> None:
    steps = library.profile(X, runs=3)
    assert [key for key, _ in steps] == ["pad", "blur", "bias"]
    assert all(0 <= seconds < 1 for _, seconds in steps)
    with pytest.raises(UserError, match="runs=0"):
        library.profile(X, runs=0)


# --- processes -----------------------------------------------------------------------------------------------------


def in_child(work: Callable[[], bool]) -> bool:
    """Whether ``work`` is true in a forked child; false if it hangs."""
    pid = os.fork()
    if not pid:
        os._exit(0 if work() else 1)
    for _ in range(2000):
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return status == 0
        time.sleep(0.005)
    os.kill(pid, 9)
    os.waitpid(pid, 0)
    return False


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
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "(3, 5, 7) errors runtime version"


# --- files ---------------------------------------------------------------------------------------------------------


def copy_of(path: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(path, tmp_path / "m.so"))


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


@pytest.mark.parametrize("how", ["overwrite", "replace", "delete"])
def test_the_file_may_change_after_loading(tmp_path: Path, how: str) -> None:
    path = copy_of(kernels_c.tiny_library(), tmp_path)
    library, other = load(path), kernels_c.library_of("k_threads")
    if how == "overwrite":
        path.write_bytes(b"")
        path.write_bytes(other.read_bytes())
    elif how == "replace":
        os.replace(shutil.copy(other, tmp_path / "new.so"), path)
    else:
        path.unlink()
    np.testing.assert_array_equal(library(X), Y)
    library.save(tmp_path / "saved.so")
    assert (tmp_path / "saved.so").read_bytes() == kernels_c.tiny_library().read_bytes()
    if how != "delete":
        assert load(path).description["name"] == "threads"
    np.testing.assert_array_equal(load(tmp_path / "saved.so")(X), Y)


def test_save_says_why_it_can_not(library: Library, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="create it first"):
        library.save(tmp_path / "missing" / "m.so")


def test_a_cut_off_file_never_loads(tmp_path: Path) -> None:
    data = kernels_c.tiny_library().read_bytes()
    for length in [0, 1, 3, 4, 15, 16, 40, 63, 64, 65, *range(100, len(data), 997), len(data) - 1]:
        (tmp_path / "cut.so").write_bytes(data[:length])
        with pytest.raises(LibraryError, match=r"copy or compile|not an ELF"):
            load(tmp_path / "cut.so")


def test_damaged_tables_are_errors_not_crashes(tmp_path: Path) -> None:
    data = kernels_c.tiny_library().read_bytes()
    table = int.from_bytes(data[40:48], "little")
    choose = np.random.default_rng(0)
    for at in [*range(4, 64), *choose.integers(table, len(data), 100)]:
        broken = bytearray(data)
        broken[at] ^= 0xFF
        (tmp_path / "broken.so").write_bytes(broken)
        with contextlib.suppress(LibraryError):
            read_description(tmp_path / "broken.so")


def test_foreign_files(tmp_path: Path) -> None:
    import _ctypes

    files = {
        "text.so": b"version https://git-lfs",
        "zip.so": b"PK\x03\x04" + bytes(100),
        "archive.so": b"!<arch>\n" + bytes(100),
        "header.so": b"\x7fELF" + bytes(100),
        "object.so": kernels_c.kernels(),
    }
    messages = {
        "text.so": "starts with b'version ",
        "zip.so": r"a \.pt2 model that is still to be compiled",
        "archive.so": "static archive: link it",
        "header.so": "damaged or foreign header",
        "object.so": "sparsecc did not make",
    }
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(LibraryError, match=messages[name]):
            load(tmp_path / name)
    with pytest.raises(LibraryError, match="sparsecc did not make"):
        load(_ctypes.__file__)
    for missing in (tmp_path / "missing.so", tmp_path):
        with pytest.raises(LibraryError, match="can't be read"):
            load(missing)


def test_other_formats_and_missing_functions(tmp_path: Path) -> None:
    data = kernels_c.tiny_library().read_bytes()
    for old, new, message in [
        (f'"format":{FORMAT}'.encode(), f'"format":{FORMAT - 1}'.encode(), "made by an older sparsecc"),
        (f'"format":{FORMAT}'.encode(), f'"format":{FORMAT + 1}'.encode(), "made by a newer sparsecc"),
        (b'"format":', b'"format";', "description is damaged"),
        (b"\0tiny_profile\0", b"\0tiny_nothing\0", "does not export tiny_profile"),
    ]:
        assert old in data
        (tmp_path / "m.so").write_bytes(data.replace(old, new))
        with pytest.raises(LibraryError, match=message):
            load(tmp_path / "m.so")


def test_another_architecture_is_described_but_not_loaded() -> None:
    path, triple = kernels_c.folder() / "other.so", "aarch64-linux-gnu"
    build_library(kernels_c.tiny(), kernels=kernels_c.kernels(triple), triple=triple, cpu_features=("neon",), out=path)
    assert read_description(path)["triple"] == triple
    with pytest.raises(LibraryError, match="compiled for aarch64, but this process is x86-64"):
        load(path)


def test_a_cpu_without_the_features_is_an_error() -> None:
    program = kernels_c.tiny("future")
    path = kernels_c.build(program, features=("sse2", "+avx1024", "-sse4a", "xop2"))
    assert read_description(path)["cpu_features"] == ["sse2", "avx1024", "xop2"]
    with pytest.raises(LibraryError, match=r"target x86-64 and needs .* lacks: avx1024, xop2; compile it for"):
        load(path)


def test_the_cpu_check_agrees_with_the_system() -> None:
    names = {"pni": "sse3", "sse4_1": "sse4.1", "sse4_2": "sse4.2", "bmi1": "bmi", "abm": "lzcnt", "lahf_lm": "sahf"}
    names["sha_ni"] = "sha"
    ours = ["ssse3", "popcnt", "avx", "avx2", "fma", "f16c", "bmi2", "movbe", "avx512f", "avx512bw", "avx512vl", "fma4"]
    ours += ["avx512dq", "avx512cd", "aes", "adx"]
    flags = next(line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("flags")).split()
    here = {names.get(flag, flag) for flag in flags}
    missing = [name for name in [*ours, *names.values()] if name not in here]
    path = kernels_c.build(kernels_c.tiny("check"), features=(*ours, *names.values()))
    if not missing:
        load(path)
        return
    with pytest.raises(LibraryError, match=f"lacks: {', '.join(missing)};"):
        load(path)
