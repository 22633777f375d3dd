"""The folder that goes to a board: every program in it runs, here or in an emulator."""

from __future__ import annotations

import json
import os
import shlex
import stat
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tuning_case import SHAPE, emulator, example, program, tiny_net

import sparsecc
from sparsecc.build import ArenaPlan, memory_plan, plan_arena
from sparsecc.cli import main
from sparsecc.errors import LibraryError, OutputError, TargetError, UserError
from sparsecc.ir.program import Program
from sparsecc.runtime import read_description
from sparsecc.target import TARGETS
from sparsecc.text import in_bytes

FILES = {
    "CMakeLists.txt", "README.md", "SHA256SUMS", "example.c", "example.cpp", "model-config.cmake", "model.a", "model.h",
    "model.pc", "model_numpy.py", "model.so", "model_bench",
}  # fmt: skip
BOARDS = {"rpi4": ("qemu-aarch64", "aarch64-linux-gnu"), "rpi2": ("qemu-arm", "arm-linux-gnueabihf")}


@pytest.fixture(scope="module", params=["x86-64-v3", *BOARDS])
def folder(request: pytest.FixtureRequest, tiny_folder: Callable[[str], Path]) -> Path:
    """The tiny network for a target, in a folder."""
    return tiny_folder(request.param)


def command(folder: Path) -> list[str]:
    """What to put before a program of the folder, with the board's processor where the emulator knows it."""
    target = read_description(folder / "model.so")["target"]
    if target not in BOARDS:
        return []
    cpu = {"rpi4": "cortex-a72", "rpi2": "cortex-a7"}[target]
    return [emulator(BOARDS[target][0]), "-cpu", cpu]


def compiler(folder: Path, name: str) -> list[str]:
    """Debian's compiler for the folder's target, ``gcc`` or ``g++``, told to link statically."""
    target = read_description(folder / "model.so")["target"]
    return [program(f"{BOARDS[target][1]}-{name}" if target in BOARDS else name), "-static", "-O1"]


def expected() -> np.ndarray:
    ramp = np.linspace(-1, 1, int(np.prod(SHAPE)), dtype=np.float32).reshape(SHAPE)
    with torch.no_grad():
        return tiny_net()(torch.from_numpy(ramp)).numpy().reshape(-1)


def numbers(text: str) -> np.ndarray:
    """The first results that an example prints."""
    return np.array([float(word) for word in text.split(":", 1)[1].split()], np.float32)


def test_what_is_in_it(folder):
    assert {path.name for path in folder.iterdir()} == FILES
    for name in ("model.so", "model_bench"):
        assert (folder / name).stat().st_mode & stat.S_IXUSR
    target = read_description(folder / "model.so")["target"]
    readme = (folder / "README.md").read_text()
    assert target in readme
    assert "@" not in readme
    assert "1 x 3 x 20 x 20" in readme


def test_the_c_example(folder, tmp_path):
    made = tmp_path / "example"
    words = [*compiler(folder, "gcc"), "example.c", "model.a", "-lm", "-lpthread", "-o", str(made)]
    subprocess.run(words, cwd=folder, check=True)
    done = subprocess.run([*command(folder), str(made)], capture_output=True, text=True, check=True)
    np.testing.assert_allclose(numbers(done.stdout), expected()[:8], rtol=1e-4, atol=1e-5)


def test_the_cpp_example_by_cmake(folder, tmp_path):
    cmake = Path(sys.executable).with_name("cmake")
    environment = {
        **os.environ, "CC": shlex.join(compiler(folder, "gcc")), "CXX": shlex.join(compiler(folder, "g++")),
    }  # fmt: skip
    options = ["-DCMAKE_SYSTEM_NAME=Linux", "-DCMAKE_TRY_COMPILE_TARGET_TYPE=STATIC_LIBRARY"]
    configured = subprocess.run(
        [str(cmake), "-S", str(folder), "-B", str(tmp_path), *options], env=environment, capture_output=True, text=True
    )
    assert configured.returncode == 0, configured.stderr
    subprocess.run([str(cmake), "--build", str(tmp_path)], check=True, capture_output=True, env=environment)
    for made in ("model_example", "model_example_c"):
        done = subprocess.run([*command(folder), str(tmp_path / made)], capture_output=True, text=True, check=True)
        np.testing.assert_allclose(numbers(done.stdout), expected()[:8], rtol=1e-4, atol=1e-5)


def test_the_benchmark(folder):
    done = subprocess.run(
        [*command(folder), str(folder / "model_bench"), "--runs", "3", "--threads", "2"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "2 threads, 3 runs after a warm-up" in done.stdout
    assert "pointwise" in done.stdout
    assert "MiB of memory at most" in done.stdout


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--speed"], "unknown option '--speed'"),
        (["3"], "unknown option '3'"),
        (["--runs=3"], "unknown option '--runs=3'"),
        (["--threads", "1", "--runs"], "--runs: found nothing, expected a whole number from 1 to 10000000"),
        (["--runs", "0"], "--runs: found '0'"),
        (["--runs", "-1"], "--runs: found '-1'"),
        (["--runs", "3x"], "--runs: found '3x'"),
        (["--runs", ""], "--runs: found ''"),
        (["--runs", " 3"], "--runs: found ' 3'"),
        (["--runs", "99999999999999999999"], "--runs: found '99999999999999999999'"),
        (["--threads", "two"], "--threads: found 'two', expected a whole number from 0 to 1048576"),
        (["--lines", "2"], "--lines: found '2', expected a whole number from 0 to 1"),
    ],
)
def test_mistakes_in_calls_of_the_benchmark(options, said, folder):
    done = subprocess.run([*command(folder), str(folder / "model_bench"), *options], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"error: {said}")
    assert "model_bench --help" in done.stderr


@pytest.mark.parametrize("options", [["--help"], ["-h"], ["--runs", "3", "--help"]])
def test_help_of_the_benchmark(options, folder):
    done = subprocess.run([*command(folder), str(folder / "model_bench"), *options], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("usage: ")
    assert "[--threads N] [--runs N]" in done.stdout
    assert "median" not in done.stdout


def test_the_benchmark_behind_a_command(folder, capsys):
    runner = shlex.join(command(folder)) or "env"
    assert main(["bench", str(folder / "model.so"), "--runner", runner, "--layers", "--runs", "3"]) == 0
    shown = capsys.readouterr().out
    assert "pointwise" in shown
    assert "sparse" in shown
    assert "3 runs after a warm-up" in shown
    assert main(["bench", str(folder / "model.so"), "--runner", runner, "--runs", "3", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["runs"] == 3
    assert 0 < document["min_s"] <= document["median_s"]
    assert 1e5 < document["memory_bytes"] < 1e9


#: NumPy is all that the loader imports; a fresh interpreter finds the library beside it
LOADER = (
    "import sys, numpy as np; from tiny_numpy import Model; net = Model(threads=1)\n"
    f"x = np.linspace(-1, 1, {int(np.prod(SHAPE))}, dtype=np.float32).reshape({SHAPE})\n"
    "print('y:', *net(x).reshape(-1)); assert net.threads == 1\n"
    "assert not [m for m in sys.modules if m.split('.')[0] in ('sparsecc', 'torch', 'tvm')]\n"
    "for bad in ((), (x, x), (x.astype('float64'),), (x[:, :2],)):\n"
    "    try: net(*bad)\n"
    "    except TypeError as error: assert 'expected' in str(error), error\n"
    "    else: raise AssertionError('took it')\n"
)


def python_of(target: str) -> list[str]:
    """An interpreter with NumPy: this one, or for a board Debian's, by an emulator."""
    if target not in BOARDS:
        return [sys.executable]
    root = Path(__file__).parent.parent / "build" / "arm64"
    if not (root / "done").exists():
        (pytest.fail if os.environ.get("CI") else pytest.skip)(f"needs {root}; .ci/arm64-python makes it")
    libraries = ":".join(str(path.parent) for path in root.glob("usr/lib/*/*/lib*.so.3"))  # BLAS and LAPACK
    settings = {
        "PYTHONHOME": "/usr", "PYTHONPATH": ".:/usr/lib/python3/dist-packages", "LD_LIBRARY_PATH": libraries,
        "PYTHONDONTWRITEBYTECODE": "1",
    }  # fmt: skip
    python = next(path for path in sorted(root.glob("usr/bin/python3.*")) if path.suffix[1:].isdigit())
    options = [word for name, value in settings.items() for word in ("-E", f"{name}={value}")]
    return [emulator("qemu-aarch64"), "-cpu", "cortex-a72", "-L", str(root), *options, str(python), "-S"]


@pytest.mark.parametrize("target", ["x86-64-v3", "rpi4"])
def test_the_loader_for_python(target, tmp_path):
    compiled = sparsecc.compile(tiny_net(), target, example_inputs=example(), name="tiny")
    said: list[str] = []
    compiled.save(f"{tmp_path}/", progress=said.append)
    assert said == ["link tiny.so", "link tiny.a", "link tiny_bench"]
    python = python_of(target)
    done = subprocess.run([*python, "-c", LOADER], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    np.testing.assert_allclose(numbers(done.stdout), expected(), rtol=1e-4, atol=1e-5)
    if target not in BOARDS:  # an emulated interpreter takes seconds to start
        done = subprocess.run([*python, "tiny_numpy.py"], cwd=tmp_path, capture_output=True, text=True, check=True)
        assert "output 0, shape (1, 10)" in done.stdout


def test_a_library_of_another_architecture(folder):
    target = read_description(folder / "model.so")["target"]
    if target in BOARDS:
        with pytest.raises(LibraryError, match=r"aarch64|arm"):
            sparsecc.load(folder / "model.so")
    else:
        sparsecc.load(folder / "model.so")


def test_the_loader_on_another_architecture(folder):
    """The loader of a board's folder, run here, names the library that can't be opened."""
    done = subprocess.run([sys.executable, "model_numpy.py"], cwd=folder, capture_output=True, text=True)
    foreign = read_description(folder / "model.so")["target"] in BOARDS
    assert bool(done.returncode) == foreign
    assert ("model.so: compiled for " in done.stderr) == foreign


def test_mistakes(tmp_path, capsys):
    with pytest.raises(TargetError, match="nearest: 'rpi4'"):
        sparsecc.compile(tiny_net(), "rpi44", example_inputs=example())
    compiled = sparsecc.compile(tiny_net(), "rpi3", example_inputs=example())
    with pytest.raises(UserError, match=r"expected \.so, \.a, or a folder such as out/"):
        compiled.save(tmp_path / "model.dll")
    with pytest.raises(OutputError, match="does not exist"):
        compiled.save(f"{tmp_path}/no/such/")
    assert main(["bench", str(tmp_path / "none.so"), "--runner", "env"]) == 2
    library = tmp_path / "alone.so"
    compiled.save(library)
    assert main(["bench", str(library), "--runner", "env"]) == 2
    assert "found no alone_bench beside" in capsys.readouterr().err


def test_a_network_too_large_for_a_board():
    net = torch.nn.Sequential(torch.nn.Conv2d(64, 64, 1))
    with pytest.raises(UserError, match=r"target rpi-zero2: the network needs \d+ MB, expected at most 403 MB"):
        sparsecc.compile(net, "rpi-zero2", example_inputs=(torch.zeros(1, 64, 1024, 1200),))


def repeated() -> torch.nn.Module:
    """Sixteen layers with the weights of one: 64 KiB, and a MiB if they were counted one by one."""
    return torch.nn.Sequential(*[torch.nn.Linear(128, 128)] * 16)


def test_equal_weights_count_once():
    """As the library stores them: a board with room for it gets the network."""
    target = replace(TARGETS["rpi-zero2"], memory_bytes=256 << 10)
    lib = sparsecc.compile(repeated(), target, example_inputs=(torch.zeros(1, 128),), verify=False)
    assert 64 << 10 < lib.report.memory_bytes < 80 << 10
    with pytest.raises(UserError, match=r"the network needs 0 MB"):
        sparsecc.compile(
            repeated(), replace(target, memory_bytes=64 << 10), example_inputs=(torch.zeros(1, 128),), verify=False
        )


def test_memory_is_planned_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """By a compilation; whoever writes files of it reads that plan."""
    planned = []

    def counting(program: Program) -> ArenaPlan:
        planned.append(program.name)
        return plan_arena(program)

    monkeypatch.setattr(memory_plan, "plan_arena", counting)
    lib = sparsecc.compile(tiny_net(), "x86-64-v3", example_inputs=example())
    lib.save(tmp_path / "m.so")
    lib.save(tmp_path / "m.a")
    lib.save(tmp_path)
    assert planned == ["model"]
    told = read_description(tmp_path / "m.so")
    assert lib.report.memory_bytes == told["arena_bytes"] + told["weight_bytes"]
    readme = (tmp_path / "README.md").read_text()
    assert f"needs {in_bytes(lib.report.memory_bytes)} of memory: {in_bytes(told['weight_bytes'])} of weights" in readme
    assert f"and {in_bytes(told['arena_bytes'])} of buffers" in readme


def test_memory_is_reported():
    """Weights and buffers, in the report as text and as data."""
    report = sparsecc.compile(tiny_net(), "rpi-zero2", example_inputs=example()).report
    assert 1e4 < report.memory_bytes < 1e6
    assert f"memory of an instance: {in_bytes(report.memory_bytes)} of weights" in str(report)
    assert type(report).from_json(report.to_json()).memory_bytes == report.memory_bytes


def test_boards_are_listed(capsys):
    assert main(["targets"]) == 0
    shown = capsys.readouterr().out
    for name, target in TARGETS.items():
        assert name in shown
        assert target.source in shown
