"""Compiled libraries as files: changed after loading, damaged, foreign, or for another processor."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import kernels_c
import numpy as np
import pytest
from kernels_c import X, Y

from sparsecc.errors import LibraryError, OutputError
from sparsecc.runtime import Library, load, read_description
from sparsecc.runtime.files import new_file
from sparsecc.runtime.format import FORMAT


def copy_of(path: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(path, tmp_path / "m.so"))


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
        (tmp_path / "m.so").write_bytes(kernels_c.resealed(data.replace(old, new)))
        with pytest.raises(LibraryError, match=message):
            load(tmp_path / "m.so")


def test_another_architecture_is_described_but_not_loaded() -> None:
    path, triple = kernels_c.folder() / "other.so", "aarch64-linux-gnu"
    kernels_c.link(kernels_c.tiny(), path, triple=triple, features=("neon",))
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


WRITER = """
import sys, time
from sparsecc.runtime.files import new_file
with new_file(sys.argv[1]) as file:
    file.write(b"half")
    file.flush()
    print("writes", flush=True)
    time.sleep(60)
"""


def test_what_a_killed_process_left_is_removed(tmp_path: Path) -> None:
    """By the next one that writes the same file; what others write stays, and what has another name."""
    path, other = tmp_path / "m.so", tmp_path / "m.so.more"
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(out)], stdout=subprocess.PIPE)
        for out in (path, path, other)
    ]
    try:
        assert [writer.stdout.readline() for writer in writers if writer.stdout] == [b"writes\n"] * 3
        strange = [
            tmp_path / name for name in (".m.so.tmp", ".m.so.0123456.tmp", "m.so.01234567.tmp", ".m.01234567.tmp")
        ]
        for file in strange:
            file.touch()
        for file in tmp_path.iterdir():
            os.utime(file, (0, 0))
        before = set(tmp_path.iterdir())
        for killed in (writers[0], writers[2]):
            killed.kill()
            killed.wait()
        (tmp_path / ".m.so.01234567.tmp").touch()  # of a process that has just begun
        with new_file(path) as file:
            file.write(b"whole")
        left = set(tmp_path.iterdir())
        assert path.read_bytes() == b"whole"
        assert [file.name.startswith(".m.so.") for file in before - left] == [True]
        assert left - before == {path, tmp_path / ".m.so.01234567.tmp"}
    finally:
        for writer in writers:
            writer.kill()
            writer.communicate()
