"""Names of inputs and outputs, whatever keys and arguments a model has: in C, C++, Python, files, on the terminal."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from output_forms import SHAPE, image, net, plain
from torch import nn

import sparsecc
from sparsecc.cli import main
from sparsecc.importer.names import port_names
from sparsecc.runtime import read_description

ZIG = (sys.executable, "-m", "ziglang", "cc", "-target", "x86_64-linux-gnu.2.28")
LONG = "k" * 10_000
HOSTILE = [
    "out", "Case", "case", 'quote"', "back\\slash", "line\nbreak", "nul\0", "\x1b[31mred\x1b[0m", "größe", "变量",
    "class", "int", "*/ code /*", "??/", "<b>bold</b>", "[red]markup[/red]", "@name@", "%s%n", "", " ", "..",
    "a/b", "1st", "\ud800", "\u202eright to left", "\u2028", LONG, LONG + "2", "file", "output",
]  # fmt: skip


def hostile(x: torch.Tensor, y: torch.Tensor, k: torch.Tensor) -> dict[str, Any]:
    """A result with a tensor of its own for each of the keys."""
    return {key: y + i for i, key in enumerate(HOSTILE)}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All that a board gets, of a network whose results have such keys."""
    path = tmp_path_factory.mktemp("names") / "out"
    sparsecc.compile(net(hostile), "native", example_inputs=(image(),), threads=1).save(f"{path}/")
    return path


def names(folder: Path) -> list[str]:
    return [port["name"] for port in read_description(folder / "model.so")["outputs"]]


def test_rule():
    paths: list[tuple[str | int, ...]] = [
        (), (0,), (1, 0), ("out",), ("a b", 3, "c"), ("1st",), ("",), ("out",), ("größe",), ("\x1b[31m\n",),
        ("x" * 99,), ("x" * 98,),
    ]  # fmt: skip
    assert port_names(paths, kind="output") == (
        "output", "output_0", "output_1_0", "out", "a_b_3_c", "output_1st", "output_2", "out_2", "größe", "__31m_",
        "x" * 64, "x" * 64 + "_2",
    )  # fmt: skip
    assert port_names([("x",), ("7",)], kind="input") == ("x", "input_7")


def test_names_are_safe_and_keys_are_kept(folder):
    found = names(folder)
    assert len(set(found)) == len(HOSTILE)
    assert all(re.fullmatch(r"[^\W\d]\w{0,66}", name) for name in found)
    assert found[:3] == ["out", "Case", "case"]
    library = sparsecc.load(folder / "model.so")
    result = library(image().numpy())
    assert list(result) == HOSTILE
    with torch.no_grad():
        wanted = plain(net(hostile)(image()))
    for key in HOSTILE:
        np.testing.assert_allclose(result[key], wanted[key], rtol=1e-4, atol=1e-5)
    assert repr(library).isprintable()


@pytest.mark.parametrize("file", ["model.h", "README.md", "model_numpy.py", "example.c", "example.cpp"])
def test_texts_are_printable(folder, file):
    assert all(line.isprintable() for line in (folder / file).read_text(encoding="utf-8").split("\n"))


#: writes the values at the places that the header's macros name
BY_NAME = """
#include <stdio.h>
#include <stdlib.h>
#include "model.h"
int main(void) {
  model_t *net;
  const void *inputs[1];
  void *outputs[100];
  int i;
  float *x = (float *)malloc(SIZE * sizeof(float));
  if (model_create(&net)) return puts(model_last_error());
  for (i = 0; i < SIZE; ++i) x[i] = (float)i / SIZE;
  inputs[MODEL_INPUT_X] = x;
  for (i = 0; i < model_num_outputs(); ++i) outputs[i] = malloc(64 * sizeof(float));
  if (model_run(net, inputs, outputs)) return puts(model_last_error());
  PRINTED
  model_destroy(net);
  return 0;
}
"""


@pytest.mark.parametrize(("extension", "standard"), [("c", "c99"), ("cpp", "c++11")])
def test_the_header_names_outputs(folder, tmp_path, extension, standard):
    """In a program whose warnings are errors; names that differ in case only have no macro."""
    header = (folder / "model.h").read_text(encoding="utf-8")
    macros = re.findall(r"#define MODEL_OUTPUT_(?!\d+_(?:COUNT|BYTES) )(\w+) (\d+)", header, flags=re.ASCII)
    found = names(folder)
    ascii_names = [name.upper() for name in found if name.isascii()]
    assert [name for name, _ in macros] == [name for name in ascii_names if ascii_names.count(name) == 1]
    assert all(found[int(index)].upper() == name for name, index in macros)
    assert "CASE" not in dict(macros)
    printed = "\n".join(
        f'printf("%d %.9g %s\\n", MODEL_OUTPUT_{name}, ((float *)outputs[MODEL_OUTPUT_{name}])[5],'
        f" model_output_name(MODEL_OUTPUT_{name}));"
        for name, _ in macros
    )
    size = int(np.prod(SHAPE))
    source = tmp_path / f"app.{extension}"
    source.write_text(BY_NAME.replace("SIZE", str(size)).replace("PRINTED", printed))
    flags = [
        f"-std={standard}",
        "-target",
        "x86_64-linux-gnu.2.28",
        "-Wall",
        "-Wextra",
        "-pedantic",
        "-Werror",
        f"-I{folder}",
    ]
    made = tmp_path / "app"
    libraries = [str(folder / "model.a"), "-lm", "-lpthread"]
    subprocess.run([*ZIG, *flags, str(source), *libraries, "-o", str(made)], check=True)
    done = subprocess.run([str(made)], capture_output=True, check=True)
    x = (np.arange(size, dtype=np.float32) / size).reshape(SHAPE)
    wanted = list(sparsecc.load(folder / "model.so")(x).values())
    lines = done.stdout.decode().splitlines()
    assert len(lines) == len(macros)
    for line, (name, index) in zip(lines, macros, strict=True):
        assert line.split()[0] == index
        assert line.split()[2].upper() == name
        np.testing.assert_allclose(float(line.split()[1]), wanted[int(index)].reshape(-1)[5], rtol=1e-5)


def test_the_loader_for_boards(folder):
    """The loader with NumPy alone returns the very keys, and prints names."""
    script = (
        "import sys, json, numpy as np; sys.modules['torch'] = sys.modules['sparsecc'] = None\n"
        "from model_numpy import Model; net = Model(threads=1)\n"
        f"x = np.zeros({SHAPE}, np.float32); y = net(x)\n"
        "print(json.dumps([list(y), net.output_names, [float(v.sum()) for v in y.values()]]))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=folder, capture_output=True, check=True)
    keys, found, sums = json.loads(done.stdout)
    assert keys == HOSTILE
    assert found == names(folder)
    wanted = sparsecc.load(folder / "model.so")(np.zeros(SHAPE, np.float32))
    np.testing.assert_allclose(sums, [wanted[key].sum() for key in HOSTILE], rtol=1e-4)
    done = subprocess.run([sys.executable, "model_numpy.py"], cwd=folder, capture_output=True, check=True)
    lines = done.stdout.decode().splitlines()
    assert [line.split(", ")[-1].split(":")[0] for line in lines if line.startswith("output ")] == names(folder)


def test_run_writes_an_archive_of_names(folder, tmp_path, capsys):
    np.save(tmp_path / "x.npy", image().numpy())
    words = ["run", str(folder / "model.so"), "--input", str(tmp_path / "x.npy"), "--output"]
    assert main([*words, str(tmp_path / "all.npz")]) == 0
    shown = capsys.readouterr().out
    assert all(line.isprintable() for line in shown.splitlines())
    with np.load(tmp_path / "all.npz") as archive:
        assert archive.files == names(folder)
        wanted = sparsecc.load(folder / "model.so")(image().numpy()).values()
        for name, array in zip(archive.files, wanted, strict=True):
            np.testing.assert_array_equal(archive[name], array)
    assert main([*words, str(tmp_path / "y.npy")]) == 2
    said = capsys.readouterr().err
    assert f"found 1 file(s), expected {len(HOSTILE)}" in said
    assert "or one .npz file for all" in said
    assert main([*words, str(tmp_path / "y.npy"), "--output", str(tmp_path / "all.npz")]) == 2
    assert "all.npz takes all outputs" in capsys.readouterr().err


def test_inspect_lists_names(folder, capsys):
    assert main(["inspect", str(folder / "model.so")]) == 0
    shown = capsys.readouterr().out.splitlines()
    assert all(line.isprintable() for line in shown)
    assert [line.split()[1].rstrip(",") for line in shown if line.startswith("output ")] == names(folder)
    assert main(["inspect", str(folder / "model.so"), "--json"]) == 0
    text = capsys.readouterr().out
    assert text.isascii()
    assert [key for key, _ in json.loads(text)["structure"]["dict"]] == HOSTILE


def test_names_of_arguments(tmp_path):
    """Letters of another script, words of C, and very long ones."""
    long = "v" * 300
    scope: dict[str, Any] = {}
    exec(
        f"def forward(self, größe, 变量, int, output, {long}, {long}2): return größe+变量+int+output*{long}-{long}2",
        scope,
    )
    model = type("Model", (nn.Module,), {"forward": scope["forward"]})()
    inputs = tuple(torch.full((2,), float(i)) for i in range(6))
    compiled = sparsecc.compile(model, "native", example_inputs=inputs)
    found = [port.name for port in compiled.inputs]
    assert len(set(found)) == 6
    assert all(re.fullmatch(r"[^\W\d]\w{0,66}", name) for name in found)
    assert found[2:4] == ["int", "output"]
    torch.testing.assert_close(compiled(*inputs), model(*inputs))
    compiled.save(tmp_path / "model.so")
    assert "#define MODEL_INPUT_INT 2\n" in (tmp_path / "model.h").read_text()


def test_nothing_but_printable_text_reaches_a_terminal(folder, tmp_path):
    """Names of files with escapes, and names that the stream can't encode: written as escapes."""
    path = tmp_path / "\x1b[31m[bold]red\u202e.so"
    path.write_bytes((folder / "model.so").read_bytes())
    np.save(tmp_path / "x.npy", image().numpy())
    out = tmp_path / "\x1b]0;title\a.npz"
    for words, code in [
        (["inspect", path], 0),
        (["inspect", f"{path}.none"], 2),
        (["run", path, "--input", tmp_path / "x.npy", "--output", out], 0),
    ]:
        command = [sys.executable, "-m", "sparsecc", *map(str, words)]
        done = subprocess.run(command, capture_output=True, env={**os.environ, "PYTHONIOENCODING": "ascii"})
        text = (done.stdout + done.stderr).decode("ascii")
        assert done.returncode == code, text
        assert all(line.isprintable() for line in text.split("\n"))
        assert r"\x1b" in text
        assert ("gr\\xf6\\xdfe, float32" in text) == (code == 0)
