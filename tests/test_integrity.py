"""Digests: no accident to a library's file goes unnoticed, and none of its code runs before that is known."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import kernels_c
import numpy as np
import pytest
from kernels_c import X, Y
from tuning_case import program

from sparsecc.build.seal import seal
from sparsecc.build.weights import WeightBlob, plan_weights
from sparsecc.cli import main
from sparsecc.errors import InternalError, LibraryError
from sparsecc.runtime import elf, load, read_description
from sparsecc.runtime.digest import ROW_BYTES, Digest, digest

DATA = np.random.default_rng(0).bytes(5 * ROW_BYTES + 1234)
PAGES = [DATA[i : i + ROW_BYTES] for i in range(0, len(DATA), ROW_BYTES)]
MASK = (1 << 64) - 1


def by_hand(data: bytes) -> bytes:
    """The digest, word by word in Python's integers."""

    def mixed(sums: list[int], step: int) -> int:
        total = 0
        for number, value in enumerate(sums, 1):
            x = value ^ (number * step & MASK)
            x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9 & MASK
            x = (x ^ x >> 27) * 0x94D049BB133111EB & MASK
            total += x ^ x >> 31
        return total

    padded = data + bytes(-len(data) % ROW_BYTES)
    words = [int.from_bytes(padded[i : i + 8], "little") for i in range(0, len(padded), 8)]
    rows = [sum(words[i : i + 512]) & MASK for i in range(0, len(words), 512)]
    columns = [sum(words[i::512]) & MASK for i in range(512)]
    first = mixed(rows, 0x9E3779B97F4A7C15) + len(data) & MASK
    return b"".join(v.to_bytes(8, "little") for v in (first, mixed(columns, 0xD1B54A32D192ED03) & MASK))


@pytest.mark.parametrize("size", [0, 1, 8, ROW_BYTES - 1, ROW_BYTES, ROW_BYTES + 1, len(DATA)])
def test_the_digest_is_what_it_says(size: int) -> None:
    assert digest(DATA[:size]) == by_hand(DATA[:size])


def test_pieces_and_gaps() -> None:
    whole = Digest()
    for start in range(0, len(DATA), 2 * ROW_BYTES):
        whole.add(DATA[start : start + 2 * ROW_BYTES])
    assert whole.value() == digest(DATA)
    for at in (0, 4088, 4096, 8000):
        zeroed = DATA[:at] + bytes(24) + DATA[at + 24 :]
        assert whole.value(without=DATA[at : at + 24], at=at) == digest(zeroed) != digest(DATA)
    with pytest.raises(ValueError, match="within a row"):
        whole.add(b"more")


def damaged(data: bytes) -> Iterator[tuple[str, bytes]]:
    """Accidents, each with its name."""
    choose = np.random.default_rng(1)
    for at in choose.integers(0, len(data), 200):
        yield f"bit in {at}", data[:at] + bytes([data[at] ^ 1 << int(choose.integers(8))]) + data[at + 1 :]
    zero, pages = bytes(ROW_BYTES), [data[i : i + ROW_BYTES] for i in range(0, len(data), ROW_BYTES)]
    for i, page in enumerate(pages):
        yield f"page {i} zero", b"".join([*pages[:i], zero[: len(page)], *pages[i + 1 :]])
    for i in range(1, len(pages) - 1):
        yield f"pages {i} and {i - 1} swapped", b"".join([*pages[: i - 1], pages[i], pages[i - 1], *pages[i + 1 :]])
    yield "a page twice", b"".join([*pages[:2], pages[1], *pages[3:]])
    yield "sectors of a page swapped", b"".join([pages[0][512:1024], pages[0][:512], pages[0][1024:], *pages[1:]])
    yield "words swapped", data[8:16] + data[:8] + data[16:]
    yield "a byte off", b"\0" + data[:-1]
    for cut in (1, 8, ROW_BYTES, len(data) - 1):
        yield f"cut by {cut}", data[:-cut]
    yield "longer", data + b"\0"
    yield "a page longer", data + zero


def test_every_accident_changes_the_digest() -> None:
    for data in (DATA, kernels_c.tiny_library().read_bytes()):
        for name, found in damaged(data):
            assert digest(found) != digest(data), name


def positions(data: bytes) -> list[int]:
    """Bytes of the header, of every section, and between."""
    parsed = elf.parse(data, name="tiny")
    ends = [at for s in parsed.sections if s.size and s.kind != elf.NOBITS for at in (s.offset, s.offset + s.size - 1)]
    return sorted({*range(64), *ends, *range(64, len(data), 211)})


def test_no_flipped_bit_is_loaded(tmp_path: Path) -> None:
    data = kernels_c.tiny_library().read_bytes()
    for i, at in enumerate(positions(data)):
        (tmp_path / "m.so").write_bytes(data[:at] + bytes([data[at] ^ 1 << i % 8]) + data[at + 1 :])
        for read in (read_description, load):
            with pytest.raises(LibraryError) as caught:
                read(tmp_path / "m.so")
            assert "compile" in str(caught.value) or "expected a" in str(caught.value), caught.value


def test_no_other_accident_is_loaded(tmp_path: Path) -> None:
    data = kernels_c.tiny_library().read_bytes()
    for name, found in damaged(data):
        (tmp_path / "m.so").write_bytes(found)
        with pytest.raises(LibraryError):
            pytest.fail(f"{name}: {load(tmp_path / 'm.so')}")


def test_what_is_said_of_damage(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = kernels_c.tiny_library().read_bytes()
    path = tmp_path / "m.so"
    path.write_bytes(data[:5000] + bytes([data[5000] ^ 1]) + data[5001:])
    with pytest.raises(LibraryError, match=r"m\.so: damaged: its digest is [0-9a-f]{32}, expected [0-9a-f]{32}; copy"):
        load(path)
    assert main(["inspect", str(path)]) == 2
    assert "damaged: its digest is" in capsys.readouterr().err
    path.write_bytes(data + b"more")
    with pytest.raises(LibraryError, match=f"damaged: it has {len(data) + 4} bytes, expected {len(data)}; copy"):
        load(path)
    path.write_bytes(data.replace(b".sparsecc_seal\0", b".sparsecc_sEal\0"))
    with pytest.raises(LibraryError, match="damaged: its digest is missing; copy"):
        load(path)


def test_strip_is_refused(tmp_path: Path) -> None:
    path = Path(shutil.copy(kernels_c.tiny_library(), tmp_path / "m.so"))
    subprocess.run([program("strip"), str(path)], check=True)
    if path.read_bytes() == kernels_c.tiny_library().read_bytes():
        return  # it found nothing to do
    with pytest.raises(LibraryError, match=r"no tool may change it, strip included"):
        load(path)


def test_a_changed_file_of_the_same_size_and_time(tmp_path: Path) -> None:
    """Name, inode, size and time may all be the old ones: the bytes decide."""
    path = tmp_path / "m.so"
    size = max(kernels_c.tiny_library().stat().st_size, kernels_c.library_of("k_threads").stat().st_size)

    def write(source: Path) -> None:
        data = source.read_bytes()
        with path.open("r+b" if path.exists() else "wb") as file:
            file.write(kernels_c.resealed(data + bytes(size - len(data))))
        os.utime(path, ns=(10**18, 10**18))

    write(kernels_c.tiny_library())
    before, first = path.stat(), load(path)
    write(kernels_c.library_of("k_threads"))
    after = path.stat()
    assert (before.st_ino, before.st_size, before.st_mtime_ns) == (after.st_ino, after.st_size, after.st_mtime_ns)
    assert load(path).description["name"] == "threads"
    np.testing.assert_array_equal(first(X), Y)
    assert load(path)._image is load(shutil.copy(path, tmp_path / "n.so"))._image


def checked(path: Path) -> tuple[int, str]:
    """``check`` of a library that is loaded as a C program would, and what it says."""
    functions = ctypes.CDLL(str(path))
    functions.tiny_last_error.restype = ctypes.c_char_p
    return functions.tiny_check(), functions.tiny_last_error().decode()


def test_the_check_in_c(tmp_path: Path) -> None:
    """It computes what Python wrote into the code, and sees changed weights and descriptions."""
    data = kernels_c.tiny_library().read_bytes()
    assert checked(kernels_c.tiny_library()) == (0, "")
    weights = b"".join(array.tobytes() for array in kernels_c.tiny().weights if array.nbytes >= 8)[:8]
    assert data.count(weights) == 1
    for i, (old, new, message) in enumerate(
        [
            (weights, bytes([weights[0] ^ 1]) + weights[1:], "tiny: its weights are damaged: copy or compile"),
            (b'"format":', b'"farmat":', "tiny: its facts are damaged: copy or compile"),
            (b"sparsecc digest\0", b"Sparsecc digest\0", "tiny: its seal is damaged: copy or compile"),
        ]
    ):
        path = tmp_path / f"m{i}.so"
        path.write_bytes(data.replace(old, new))
        code, said = checked(path)
        assert code == 5
        assert said.startswith(message)


def test_weights_are_digested_as_they_are_written(tmp_path: Path) -> None:
    choose = np.random.default_rng(0)
    sizes = (3, 4096, 0, 1, 1024, 5000, 77)
    weights = [choose.normal(size=size).astype(np.float32) for size in sizes]
    blob = WeightBlob(plan_weights(weights), weights)
    with (tmp_path / "w").open("wb") as file:
        blob.write(file)
    assert blob.digest() == digest((tmp_path / "w").read_bytes())
    assert WeightBlob(plan_weights([]), []).digest() == digest(b"")


def test_a_library_without_a_place_for_the_digest(tmp_path: Path) -> None:
    path = tmp_path / "m.so"
    path.write_bytes(kernels_c.tiny_library().read_bytes().replace(b".sparsecc_seal\0", b".sparsecc_sEal\0"))
    with pytest.raises(InternalError, match="no place for its digest"):
        seal(path)


def test_the_digests_of_a_folder(tiny_folder, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    shutil.copytree(tiny_folder("x86-64-v3"), folder)
    command = [program("sha256sum"), "-c", "--strict", "SHA256SUMS"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count(": OK") == len(list(folder.iterdir())) - 1
    (folder / "model.h").write_text("/* changed */")
    assert subprocess.run(command, cwd=folder, capture_output=True).returncode == 1


def test_the_examples_find_damaged_weights(tiny_folder, tmp_path: Path) -> None:
    """The static library, damaged in its weights, linked into the example; and the shared one, by the NumPy loader."""
    folder = tmp_path / "out"
    shutil.copytree(tiny_folder("x86-64-v3"), folder)
    piece = weights_of(folder)
    for name in ("model.a", "model.so"):
        data = (folder / name).read_bytes()
        assert data.count(piece) == 1
        (folder / name).write_bytes(data.replace(piece, piece[:5] + bytes([piece[5] ^ 4]) + piece[6:]))
    build = [program("gcc"), "example.c", "model.a", "-lm", "-lpthread", "-o", "example"]
    subprocess.run(build, cwd=folder, check=True)
    done = subprocess.run(["./example"], cwd=folder, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "model: its weights are damaged: copy or compile the file again\n"
    done = subprocess.run([sys.executable, "model_numpy.py"], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 1
    assert "model.so: damaged, or still being copied: its digest differs; copy it again" in done.stderr


def weights_of(folder: Path) -> bytes:
    """Some bytes of the weights: the largest array in the shared library's read-only data."""
    data = (folder / "model.so").read_bytes()
    section = elf.parse(data, name="m").section(".rodata")
    assert section is not None
    content = data[section.offset : section.offset + section.size]
    middle, nbytes = len(content) // 2, read_description(folder / "model.so")["weight_bytes"]
    pieces = (content[i : i + 64] for i in range(middle - nbytes // 4, middle + nbytes // 4, 64))
    return next(piece for piece in pieces if len(set(piece)) > 32)
