"""``sparsecc compile``: its files, its report, its options and their mistakes."""

from __future__ import annotations

import subprocess

import numpy as np
import pytest
import torch
from cli_case import ROOT, SHAPES, command, document, fails
from torch import nn
from tuning_case import program

import sparsecc


def test_compile_writes_library_and_header_and_reports(made):
    assert made.library.exists()
    assert "model_run" in made.library.with_suffix(".h").read_text()
    said = made.said.stdout
    assert "3 layers: 1 sparse, 2 dense" in said
    assert "largest difference from PyTorch" in said
    assert f"wrote {made.library}" in said


def test_compile_tells_its_stages_on_stderr(made):
    lines = made.said.stderr.splitlines()
    assert [line.split(" s  ")[1] for line in lines][:2] == ["load PyTorch and TVM", "import the model"]
    assert "compare with PyTorch" in lines[-2]


def test_output_for_pipes_is_plain_and_narrow(made):
    assert "\x1b" not in made.said.stdout + made.said.stderr
    table = made.said.stdout.partition("\nlargest")[0]
    assert max(map(len, table.splitlines())) <= 100
    assert not any(line.endswith(" ") for line in table.splitlines())


def test_compile_with_options(made, tmp_path, capsys):
    out = tmp_path / "net.a"
    found = document(
        capsys, "compile", made.model, "-o", out, "--name", "net", "--target", "x86-64-v3", "--no-verify",
        "--keep-dense", "bo*", "--dump", tmp_path / "stages", "--threads", 1,
    )  # fmt: skip
    assert found["library"] == str(out)
    assert found["file_bytes"] == out.stat().st_size
    assert found["report"]["target"] == "x86-64-v3"
    assert found["report"]["error"] is None
    assert [layer["decision"] for layer in found["report"]["plan"]["layers"]] == ["dense"] * 3
    assert {"import", "build"} <= set(found["seconds"])
    assert "net_run" in (tmp_path / "net.h").read_text()
    assert list((tmp_path / "stages").iterdir())


def test_compile_fails_before_the_work_where_it_can(made, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("sparsecc.cli.compile.load_compiler", lambda **_: pytest.fail("began the work"))
    for output, text in (("model.dll", "suffix '.dll'"), ("none/model.so", "folder does not exist")):
        code, said = fails(capsys, "compile", made.model, "-o", tmp_path / output)
        assert code == 2
        assert text in said
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--target", "z80"], "found 'z80', expected one of"),
        (["--keep-dense", "tail"], "no layer is called 'tail'"),
        (["--min-speedup", "0"], "min_speedup"),
        (["--max-growth", "0.5"], "max_growth: found 0.5, expected a factor of 1 or more"),
        (["--name", "1st"], "C identifier"),
        (["--threads", "0"], "threads"),
        (["--tolerance", "7"], "tolerance between 0 and 1"),
        (["--cc", "no-such-compiler"], "no-such-compiler"),
    ],
)
def test_wrong_options_of_compile(arguments, text, made, tmp_path, capsys):
    code, said = fails(capsys, "compile", made.model, "-o", tmp_path / "m.so", *arguments)
    assert code == 2
    assert text in said
    assert list(tmp_path.iterdir()) == []


def test_a_result_that_differs_is_our_bug(made, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("sparsecc.verify.compare.ROUNDING", 0)  # else a difference as small as PyTorch's own is none
    code, said = fails(capsys, "compile", made.model, "-o", tmp_path / "m.so", "--tolerance", "1e-30")
    assert code == 4
    assert "differs from PyTorch" in said
    assert "--tolerance" in said
    assert not (tmp_path / "m.so").exists()


def test_an_operator_that_is_not_supported(tmp_path, capsys):
    class Sorting(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.linalg.svd(x)[1]

    torch.export.save(torch.export.export(Sorting(), (torch.randn(4, 4),)), tmp_path / "m.pt2")
    code, said = fails(capsys, "compile", tmp_path / "m.pt2", "-o", tmp_path / "m.so")
    assert code == 3
    assert "not supported" in said


@pytest.mark.parametrize("name", ["compile", "inspect"])
def test_without_the_compiler_installed(name, made, tmp_path):
    done = command(name, made.model, *(["-o", tmp_path / "m.so"] if name == "compile" else []), alone=True)
    assert done.returncode == 2
    assert "pip install '.[compiler]'" in done.stderr


def test_c_example(made, tmp_path):
    compiler = program("gcc")
    source, app, folder = ROOT / "examples" / "c" / "main.c", tmp_path / "main", made.library.parent
    strict = ["-std=c99", "-Wall", "-Wextra", "-Wpedantic", "-Werror"]
    link = [f"-I{folder}", f"-L{folder}", "-l:model.so", f"-Wl,-rpath,{folder}"]
    subprocess.run([compiler, *strict, source, *link, "-o", app], check=True)
    lines = subprocess.run([app], check=True, capture_output=True, text=True).stdout.splitlines()
    ramps = [np.linspace(-1, 1, np.prod(shape), dtype="float32").reshape(shape) for shape in SHAPES]
    first, second = sparsecc.load(made.library)(*ramps)
    assert lines[1].startswith("output_0 (5 values): ")
    np.testing.assert_allclose([float(v) for v in lines[1].partition(": ")[2].split()], first.ravel(), rtol=1e-4)
    assert lines[2].startswith(f"output_1 ({second.size} values): ")
    assert lines[2].endswith(" ...")


def test_compile_quantizes_first(made, tmp_path):
    images, out = tmp_path / "images.npz", tmp_path / "model.so"
    np.savez(images, *(np.random.default_rng(0).standard_normal((2, *shape[1:]), np.float32) for shape in SHAPES))
    done = command("compile", made.model, "-o", out, "--quantize", images, "--no-verify")
    assert "signal to noise" in done.stdout, done.stderr
    assert out.exists()


def test_layers_stay_float_only_where_others_do_not(made, tmp_path, capsys):
    code, said = fails(capsys, "compile", made.model, "-o", tmp_path / "model.so", "--keep-float", "head")
    assert code == 2
    assert "--keep-float: found no --quantize" in said
