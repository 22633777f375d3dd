"""Compiled networks that are pickled, copied and saved inside modules; with the compiler and without; their reports."""

from __future__ import annotations

import copy
import io
import json
import pickle
import subprocess
import sys
import warnings
from pathlib import Path

import kernels_c
import numpy as np
import pytest
import torch
from nets import impose_1xn
from patience import PATIENCE_S
from torch import nn

import sparsecc
from sparsecc.errors import GradientWarning, LibraryError, UserError
from sparsecc.report import Report
from sparsecc.restore import restore
from sparsecc.runtime import Library, load
from sparsecc.runtime.stored_report import StoredReport

ROOT = Path(__file__).parent.parent
X = torch.randn(1, 8, 6, 5, generator=torch.Generator().manual_seed(1))
#: a process in which the compiler's packages are not there
ALONE = "import sys; sys.modules['torch'] = sys.modules['tvm'] = None\n"


def made(target: str) -> sparsecc.Compiled:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(8, 16, 3, padding=1), nn.ReLU(), nn.Conv2d(16, 64, 1)).eval()
    impose_1xn(net, 16, 0.75, include=["2"])
    return sparsecc.compile(net, target, example_inputs=(X,), threads=2)


@pytest.fixture(scope="module")
def here() -> sparsecc.Compiled:
    return made("native")


@pytest.fixture(scope="module")
def foreign() -> sparsecc.Compiled:
    return made("rpi2")


def run_alone(code: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", ALONE + code, *map(str, arguments)],
        capture_output=True, text=True, cwd=ROOT, timeout=PATIENCE_S,
    )  # fmt: skip


def through_torch(value: object) -> object:
    file = io.BytesIO()
    module = nn.Module()
    module.net = value
    torch.save(module, file)
    file.seek(0)
    return torch.load(file, weights_only=False).net


WAYS = {
    "pickle": lambda value: pickle.loads(pickle.dumps(value)),
    "twice": lambda value: pickle.loads(pickle.dumps(pickle.loads(pickle.dumps(value, 2)))),
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "deepcopy of a pickle": lambda value: copy.deepcopy(pickle.loads(pickle.dumps(value))),
    "torch.save": through_torch,
}


@pytest.mark.parametrize("way", WAYS)
def test_a_network_comes_back_with_all_that_it_has(way, here, tmp_path):
    again = WAYS[way](here)
    assert isinstance(again, sparsecc.Compiled)
    torch.testing.assert_close(again(X), here(X), rtol=0, atol=0)
    assert again.report.to_json() == here.report.to_json()
    assert str(again.plan) == str(here.plan)
    assert (again.inputs, again.outputs, again.target) == (here.inputs, here.outputs, here.target)
    assert again.library.threads == 2
    here.save(tmp_path / "before.so")
    again.save(tmp_path / "after.so")
    for suffix in (".so", ".h"):
        assert (tmp_path / f"after{suffix}").read_bytes() == (tmp_path / f"before{suffix}").read_bytes()


def test_what_comes_back_links_again(here, foreign, tmp_path):
    for name, network in (("here", here), ("foreign", foreign)):
        again = pickle.loads(pickle.dumps(network))
        for file in (f"{name}.a", f"{name}.so"):
            network.save(tmp_path / f"first_{file}")
            again.save(tmp_path / file)
            assert (tmp_path / file).read_bytes() == (tmp_path / f"first_{file}").read_bytes()
    again.save(f"{tmp_path}/out/")
    assert (tmp_path / "out" / "model_bench").is_file()


@pytest.mark.parametrize("way", WAYS)
def test_a_network_for_another_processor(way, foreign):
    again = WAYS[way](foreign)
    assert again.report.to_json() == foreign.report.to_json()
    assert (again.inputs, again.target) == (foreign.inputs, "rpi2")
    with pytest.raises(LibraryError, match="this machine can't run code for rpi2"):
        again(X)


def test_copies_share_code_and_have_threads_of_their_own(here, tmp_path):
    shallow, deep = copy.copy(here), copy.deepcopy(here)
    assert shallow.library is here.library
    assert deep.library is not here.library
    assert deep.library._image is here.library._image
    deep.library.threads = 1
    assert here.library.threads == 2
    deep.library.close()
    assert here(X).shape == (1, 64, 6, 5)
    path = tmp_path / "tiny.so"
    path.write_bytes(kernels_c.tiny_library().read_bytes())
    library = load(path, threads=1)
    path.unlink()
    for twin in (copy.copy(library), copy.deepcopy(library)):
        assert twin._image is library._image
        np.testing.assert_array_equal(twin(kernels_c.X), kernels_c.Y)


def test_a_pickle_in_a_process_without_the_compiler(here, foreign, tmp_path):
    for name, network in (("here", here), ("foreign", foreign)):
        (tmp_path / name).write_bytes(pickle.dumps(network))
    np.save(tmp_path / "x.npy", X.numpy())
    code = (
        "import numpy as np, pickle; folder = sys.argv[1]\n"
        "lib = pickle.load(open(folder + '/here', 'rb'))\n"
        "y = lib(np.load(folder + '/x.npy')); np.save(folder + '/y.npy', y); lib.save(folder + '/saved.so')\n"
        "print(type(lib).__mro__[1].__name__, lib.threads, [p.name for p in lib.outputs]); print(lib.report)\n"
        "pickle.loads(pickle.dumps(lib))(np.load(folder + '/x.npy'))\n"
        "pickle.load(open(folder + '/foreign', 'rb'))\n"
    )
    done = run_alone(code, tmp_path)
    assert done.stdout.startswith("Library 2 ['output']\n")
    assert str(here.plan) in done.stdout
    assert done.stderr.count("Traceback") == 1
    assert "the compiler needs the package t" in done.stderr
    np.testing.assert_allclose(np.load(tmp_path / "y.npy"), here(X).numpy(), rtol=1e-6)
    np.testing.assert_array_equal(load(tmp_path / "saved.so")(X.numpy()), np.load(tmp_path / "y.npy"))


def test_a_pickle_of_another_version(here):
    function, (version, *rest) = here.__reduce__()
    assert function is restore
    with pytest.raises(UserError, match=rf"compiled by sparsecc 0\.0\.1, this is {version}; compile the model again"):
        restore("0.0.1", *rest)


@pytest.mark.parametrize("name", ["compile", "inspect", "Compiled", "advise", "tune", "prune"])
def test_one_traceback_without_the_compiler(name):
    done = run_alone(f"import sparsecc\nsparsecc.{name}.x\n")
    assert done.returncode == 1
    assert done.stderr.count("Traceback") == 1
    last = done.stderr.splitlines()[-1]
    assert last.startswith("sparsecc.errors.UserError: the compiler needs the package t")


# --- reports -------------------------------------------------------------------------------------------------------


def test_the_report_of_a_library(here, tmp_path):
    here.save(tmp_path / "model.so")
    found = load(tmp_path / "model.so").report
    # the library was written before it was compared with PyTorch
    assert str(found) == "\n".join(line for line in str(here.report).splitlines() if "from PyTorch" not in line)
    assert found.to_json() == {**here.report.to_json(), "error": None, "compared": ""}
    assert json.loads(json.dumps(found)) == found.to_json()
    assert found["steps"] == list(found.steps)
    assert found.plan.layers[1].decision == "sparse"
    assert isinstance(found.read(), Report)
    assert str(pickle.loads(pickle.dumps(copy.deepcopy(found)))) == str(found)
    assert not hasattr(found, "colour")


@pytest.mark.parametrize(
    "data", [{}, {"layers": []}, {"plan": {"layers": [3]}}, {"plan": {"layers": [{"spec": {}}]}}, {"plan": None}]
)
def test_damaged_reports(data):
    report = StoredReport(data, library="a.so")
    for look in (str, lambda found: found.plan, StoredReport.read):
        with pytest.raises(LibraryError, match=r"a\.so: its report is damaged .*copy or compile the file again"):
            look(report)
    with pytest.raises(LibraryError, match=r"its report is damaged \(found list\)"):
        StoredReport([data], library="a.so")


# --- gradients -----------------------------------------------------------------------------------------------------


def test_gradients_that_end_are_said(here):
    x = X.clone().requires_grad_()
    for network in (here, here.library):
        with pytest.warns(GradientWarning, match=r"model, input 0 \(.*\): it requires a gradient") as said:
            y = network(x)
        assert not y.requires_grad
        assert [Path(warning.filename).name for warning in said] == [Path(__file__).name]


def test_nothing_is_said_where_no_gradient_is_lost(here):
    x = X.clone().requires_grad_()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for value in (X, X.numpy(), x.detach()):
            here(value)
        with torch.no_grad():
            here(x)
        with torch.inference_mode():
            here(x)
        here.profile(x, runs=1)


def test_it_is_said_once(here):
    code = (
        "import sys, torch, sparsecc\nlib = sparsecc.load(sys.argv[1])\n"
        "for _ in range(3):\n    lib(torch.zeros(3, 5, 7, requires_grad=True))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(kernels_c.tiny_library())], capture_output=True, text=True, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("GradientWarning") == 1


def test_a_library_stays_a_path(tmp_path):
    library = load(kernels_c.tiny_library())
    assert isinstance(pickle.loads(pickle.dumps(library)), Library)
    assert len(pickle.dumps(library)) < 500
