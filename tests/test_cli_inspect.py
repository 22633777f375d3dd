"""``sparsecc inspect``: models, libraries, and files that are neither."""

from __future__ import annotations

import pytest
from cli_case import SHAPES, command, document, fails

from sparsecc.cli import main


def test_inspect_model(made, capsys):
    assert main(["inspect", str(made.model), "--target", "x86-64-v3"]) == 0
    said = capsys.readouterr().out
    assert "body" in said
    assert "3 layers: 1 sparse, 2 dense" in said
    found = document(capsys, "inspect", made.model, "--keep-dense", "body")
    assert found["kind"] == "model"
    assert found["target"] in ("x86-64-v3", "x86-64-v4")
    assert [layer["name"] for layer in found["plan"]["layers"] if layer["decision"] == "sparse"] == []


def test_inspect_library_without_the_compiler(made):
    done = command("inspect", made.library, alone=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert "3 layers: 1 sparse, 2 dense" in done.stdout
    assert "input    x, float32 1x8x6x6" in done.stdout
    assert "output   output_1, float32 1x64x6x6" in done.stdout


def test_inspect_library_as_json(made, capsys):
    found = document(capsys, "inspect", made.library)
    assert found["kind"] == "library"
    assert found["file_bytes"] == made.library.stat().st_size
    assert [port["shape"] for port in found["inputs"]] == [list(shape) for shape in SHAPES]
    assert found["report"]["plan"]["layers"][1]["decision"] == "sparse"


def test_inspect_does_not_load_the_library(made, monkeypatch):
    monkeypatch.setattr("sparsecc.runtime.image.load_code", lambda *_: pytest.fail("loaded"))
    assert main(["inspect", str(made.library)]) == 0


@pytest.mark.parametrize("arguments", [["--target", "native"], ["--keep-dense", "body"]])
def test_inspect_library_with_a_models_option(arguments, made, capsys):
    code, said = fails(capsys, "inspect", made.library, *arguments)
    assert code == 2
    assert "compiled already" in said


@pytest.mark.parametrize(
    ("name", "content", "text"),
    [
        ("m.pt2", None, "no such file"),
        ("m.so", None, "can't be read"),
        ("m.pt2", b"not a zip file", "not a .pt2 file"),
        ("m.so", b"not a library", "expected"),
        ("m.so", b"", "empty"),
        ("m.a", b"!<arch>\n", "static library"),
    ],
)
def test_inspect_other_files(name, content, text, tmp_path, capsys):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    code = main(["inspect", str(tmp_path / name)])
    assert code == 2
    assert text in capsys.readouterr().err
