"""``sparsecc inspect``: models, libraries, and files that are neither."""

from __future__ import annotations

import pytest
from cli_case import SHAPES, command, document, fails

import sparsecc
from sparsecc.cli import main
from sparsecc.errors import UserError
from sparsecc.options import Options
from sparsecc.runtime import read_description
from sparsecc.text import in_bytes


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
    told = read_description(made.library)
    assert f"network  model\nbuild    {told['build']}\nmodel_version 3\nclasses  2: cat, dog\n" in done.stdout
    total, parts = told["weight_bytes"] + told["arena_bytes"], (told["weight_bytes"], told["arena_bytes"])
    shown = "memory   {} of an instance: {} of weights, which all share, and {} of buffers"
    assert shown.format(*map(in_bytes, (total, *parts))) in done.stdout
    assert f"memory of an instance: {in_bytes(total)} of weights" in str(sparsecc.load(made.library).report)


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


@pytest.mark.parametrize(
    ("meta", "text"),
    [
        (["version"], "--meta: found 'version', expected KEY=TEXT"),
        (["a=1", "a=2"], "--meta: found 'a' twice"),
        (["classes=@none.txt"], "--meta: none.txt can't be read as lines of text"),
        (["1=2"], "meta: found the key '1', expected letters, digits and _"),
        (["a=1", "A=2"], "meta: found two keys that are A in the C header"),
    ],
)
def test_mistakes_in_what_a_library_is_to_carry(meta, text, made, tmp_path, capsys):
    code, said = fails(capsys, "compile", made.model, "-o", tmp_path / "m.so", "--meta", *meta)
    assert code == 2
    assert text in said


@pytest.mark.parametrize(
    ("meta", "text"),
    [
        ([("a", "b")], "expected texts by their keys"),
        ({"a": 3}, "a: found 3, expected a text or a list of texts"),
        ({"a": ["b", None]}, "expected a text or a list of texts"),
        ({"a": "b\0"}, "expected a text or a list of texts"),
        ({"a": "\ud800"}, "expected a text or a list of texts"),
        ({"a": ["b"], "a_count": "1"}, "found two keys that are A_COUNT"),
        ({"a": "b" * (1 << 20) + "b"}, "found 1048577 bytes of texts, expected at most 1048576"),
    ],
)
def test_what_a_library_can_not_carry(meta, text):
    with pytest.raises(UserError, match=f"^meta: .*{text}"):
        Options(meta=meta)
