"""Descriptions that somebody edited, with a digest that fits: believed only where the code says the same."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import kernels_c
import pytest

from sparsecc.cli import main
from sparsecc.errors import LibraryError
from sparsecc.runtime import elf, load, read_description
from sparsecc.runtime.format import DESCRIPTION_SECTION

JSON = dict[str, Any]


@functools.cache
def library() -> Path:
    """The tiny library with room in its description."""
    program = kernels_c.tiny("roomy")
    return kernels_c.build(replace(program, description={**program.description, "report": "." * 400}))


def with_text(text: bytes) -> bytes:
    """The library with another description, which has to fit into the place of the old one."""
    data = library().read_bytes()
    section = elf.parse(data, name="tiny").section(DESCRIPTION_SECTION)
    assert section is not None
    assert len(text) <= section.size
    end = section.offset + section.size
    return kernels_c.resealed(data[: section.offset] + text.ljust(section.size, b"\0") + data[end:])


def edited(change: Callable[[JSON], object]) -> bytes:
    """The library with a changed description."""
    description = read_description(library())
    del description["report"]
    change(description)
    return with_text(json.dumps(description, separators=(",", ":")).encode())


def put(*path: str | int, value: Any) -> Callable[[JSON], None]:
    def change(description: JSON) -> None:
        place: Any = description
        for key in path[:-1]:
            place = place[key]
        place[path[-1]] = value

    return change


def gone(*path: str | int) -> Callable[[JSON], None]:
    def change(description: JSON) -> None:
        place: Any = description
        for key in path[:-1]:
            place = place[key]
        del place[path[-1]]

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (put("target", value="x"), r"its description says target 'x', its code 'x86-64'"),
        (put("outputs", 0, "shape", value=[1]), r"its description says output_rank\(0\) 1, its code 3"),
        (put("outputs", 0, "shape", value=[3, 5, 1]), r"output_shape\(0\) \[3, 5, 1\], its code \[3, 5, 7\]"),
        (lambda d: d.update(outputs=[], structure=None), r"num_outputs 0, its code 1"),
        (put("inputs", 0, "name", value="z"), r"input_name\(0\) 'z', its code 'x'"),
        (put("inputs", 0, "dtype", value="int8"), r"input_dtype\(0\) 'int8', its code 'float32'"),
        (gone("steps", 0), r"num_steps \d, its code \d"),
        (put("steps", 0, "key", value="k"), r"step_key\(0\) 'k', its code "),
        (put("name", value="tint"), "damaged: it does not export tint_create"),
        (put("name", value="a b"), r"description is damaged: name: found 'a b', expected the prefix of C functions"),
        (gone("name"), "description is damaged: 'name' is missing"),
        (put("target", value=7), "target: found 7, expected a text"),
        (put("arena_bytes", value=-1), "arena_bytes: found -1, expected a number from 0"),
        (put("arena_bytes", value=1.5), r"arena_bytes: found 1\.5, expected a whole number"),
        (put("arena_bytes", value=True), "arena_bytes: found True, expected a number"),
        (put("cpu_features", value="sse"), "cpu_features: found 'sse', expected a list"),
        (put("cpu_features", value=[1]), r"cpu_features: found 1, expected texts"),
        (put("build", value=7), "build: found 7, expected a text"),
        (put("network", value=[]), "network: found"),
        (put("meta", value={"a": 1}), "meta: a: found 1, expected a text or a list of texts"),
        (put("meta", value=[]), r"meta: found \[\], expected texts by their keys"),
        (put("inputs", value={}), r"inputs: found \{\}, expected a list"),
        (put("inputs", value=[3]), r"inputs\[0\]: found 3, expected an object"),
        (gone("inputs", 0, "dtype"), r"inputs\[0\]: 'dtype' is missing"),
        (put("inputs", 0, "dtype", value="O"), r"dtype: found 'O', expected one of float32"),
        (put("inputs", 0, "shape", value=[3, -5]), r"inputs\[0\]: shape: found -5"),
        (put("inputs", 0, "shape", value=[1 << 40, 1 << 40]), "expected less than what a machine can hold"),
        (put("inputs", 0, "shape", value=[1] * 33), "expected less than what a machine can hold"),
        (put("steps", value=[[]]), r"steps\[0\]: found \[\], expected an object"),
        (put("steps", 0, "key", value=None), r"steps\[0\]: key: found None, expected a text"),
        (gone("structure"), "description is damaged: 'structure' is missing"),
        (put("structure", value=[]), r"description is damaged: structure: found \[\]"),
        (put("structure", value=1), "description is damaged: structure: found output 1 out of order"),
        (put("format", value="2"), "format: found '2', expected a number"),
    ],
)  # fmt: skip
def test_every_member_is_checked(tmp_path: Path, change: Callable[[JSON], None], message: str) -> None:
    (tmp_path / "m.so").write_bytes(edited(change))
    with pytest.raises(LibraryError, match=f"m\\.so: .*{message}.*compile"):
        load(tmp_path / "m.so")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "not JSON"),
        (b"[" * 300, "more than 128 deep"),
        (b'{"format":' + b"9" * 250 + b"}", "the integer '9+.*' has more than 64 bits"),
        (b'{"format":1e999}', "format: found inf"),
        (b'{"format":NaN}', "format: found nan"),
        (b'{"format":-Infinity}', "format: found -inf"),
        (b'{"format":2,"format":2}', "the name 'format' is there twice"),
        (b'{"format":2,"\xff":1}', "no text in UTF-8"),
        (b"[2]", "expected an object"),
        (b"2", "expected an object"),
        (b"{}", "'format' is missing"),
        (b'{"format":2}', "'name' is missing"),
    ],
)
def test_texts_that_are_no_description(tmp_path: Path, text: bytes, message: str) -> None:
    (tmp_path / "m.so").write_bytes(with_text(text))
    for read in (load, read_description):
        with pytest.raises(LibraryError, match=f"description is damaged: .*{message}") as caught:
            read(tmp_path / "m.so")
        assert len(re.sub(r"^.*m\.so", "", str(caught.value))) < 250


@pytest.mark.parametrize(
    "report", [5, [], {"plan": 5}, {"plan": {"layers": [{}]}}, {"plan": {"layers": 3}, "steps": []}]
)
def test_a_damaged_report(tmp_path: Path, report: object, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "m.so").write_bytes(edited(put("report", value=report)))
    assert main(["inspect", str(tmp_path / "m.so")]) == (2 if report else 0)
    assert ("m.so: its report is damaged" in capsys.readouterr().err) == bool(report)
