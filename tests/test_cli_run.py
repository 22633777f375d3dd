"""``sparsecc run``: inputs and outputs as files, good and bad ones."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from cli_case import SHAPES, Made, command, document, fails


def run_arguments(made: Made, folder: Path) -> list[object]:
    return ["run", made.library, "--input", made.x, "--input", made.y, "--output", folder / "a.npy", "--output",
            folder / "b.npy"]  # fmt: skip


def test_run_without_the_compiler(made, tmp_path):
    done = command(*run_arguments(made, tmp_path), "--threads", 2, alone=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert "a.npy: output_0, float32 1x5" in done.stdout
    for name, expected in zip("ab", made.expected, strict=True):
        np.testing.assert_allclose(np.load(tmp_path / f"{name}.npy"), expected, atol=1e-5)
    assert len(list(tmp_path.iterdir())) == 2


def test_run_as_json(made, tmp_path, capsys):
    found = document(capsys, *run_arguments(made, tmp_path))
    assert [(o["name"], o["shape"]) for o in found["outputs"]] == [("output_0", [1, 5]), ("output_1", [1, 64, 6, 6])]


def broken_inputs(folder: Path) -> dict[str, Path]:
    """Files that are no good as the first input."""
    np.save(folder / "double.npy", np.zeros(SHAPES[0]))
    np.save(folder / "shape.npy", np.zeros((1, 8, 6, 7), "float32"))
    np.save(folder / "object.npy", np.array([{}]), allow_pickle=True)
    np.savez(folder / "several.npz", a=np.zeros(3))
    (folder / "text.npy").write_text("one two three")
    (folder / "empty.npy").write_bytes(b"")
    names = "double.npy", "shape.npy", "object.npy", "several.npz", "text.npy", "empty.npy", "missing.npy"
    return {name.partition(".")[0]: folder / name for name in names}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("double", "found dtype float64, expected float32"),
        ("shape", "found shape (1, 8, 6, 7), expected (1, 8, 6, 6)"),
        ("object", "not a .npy file of numbers"),
        ("several", "archive of several arrays"),
        ("text", "not a .npy file"),
        ("empty", "not a .npy file"),
        ("missing", "No such file"),
    ],
)
def test_run_with_a_bad_input(name, text, made, tmp_path, capsys):
    (tmp_path / "out").mkdir()
    arguments = run_arguments(made, tmp_path / "out")
    arguments[3] = broken_inputs(tmp_path)[name]
    code, said = fails(capsys, *arguments)
    assert code == 2
    assert text in said
    assert list((tmp_path / "out").iterdir()) == []


def test_run_with_wrong_numbers_of_files(made, tmp_path, capsys):
    arguments = run_arguments(made, tmp_path)
    assert "found 1 file(s), expected 2 (output_0, output_1)" in fails(capsys, *arguments[:-2])[1]
    assert "found 3 input(s), expected 2" in fails(capsys, *arguments, "--input", made.x)[1]
    assert "given twice" in fails(capsys, *arguments[:-1], tmp_path / "a.npy")[1]
    assert list(tmp_path.iterdir()) == []


def test_run_never_replaces_what_is_not_a_file(made, tmp_path, capsys):
    arguments = run_arguments(made, tmp_path)
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", tmp_path, Path(os.devnull)):
        code, said = fails(capsys, *arguments[:-1], path)
        assert code == 2
        assert "expected an ordinary file" in said
    assert [path.name for path in tmp_path.iterdir()] == ["pipe"]


def test_run_with_a_full_disk_leaves_nothing(made, tmp_path, capsys, monkeypatch):
    original, written = np.lib.format.write_array, []

    def write(file, array, **options):
        written.append(file)
        if len(written) == 2:
            raise OSError(28, "No space left on device")
        original(file, array, **options)

    monkeypatch.setattr(np.lib.format, "write_array", write)
    code, said = fails(capsys, *run_arguments(made, tmp_path))
    assert code == 2
    assert "free some disk space" in said
    assert list(tmp_path.iterdir()) == []
