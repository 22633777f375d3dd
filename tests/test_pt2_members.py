"""Files of exported programs that are none, or whose members are not what they should be: an error says why."""

from __future__ import annotations

import io
import json
import logging
import os
import warnings
import zipfile
from pathlib import Path
from typing import Any

import pt2_case
import pytest
import torch
from pt2_case import CONSTANTS, MODEL, WEIGHTS, X, attacked, edit, members, old_members, write

from sparsecc.cli import main
from sparsecc.errors import ModelError, NotSupportedError
from sparsecc.importer import archive
from sparsecc.importer.archive_program import checked_program
from sparsecc.importer.export import to_exported


def zipped(path: Path, names: list[str], **options: int) -> Path:
    with warnings.catch_warnings(), zipfile.ZipFile(path, "w", **options) as file:
        warnings.simplefilter("ignore")
        for name in names:
            file.writestr(name, bytes(1000))
    return path


def test_archives_that_are_none_of_ours(tmp_path: Path) -> None:
    path = tmp_path / "m.pt2"
    good = ["m/archive_format", "m/a"]
    for names, message, options in (
        ([*good, "m/a"], "two members have one name", {}),
        ([*good, "m/../b"], r"a member is called 'm/\.\./b'", {}),
        ([*good, "/b"], "a member is called '/b'", {}),
        (good, "'m/archive_format' is compressed", {"compression": zipfile.ZIP_DEFLATED}),
        (good, "archive_version is missing", {}),
        (["a"], "found neither archive_format nor serialized_exported_program", {}),
        ([], "found neither", {}),
    ):
        zipped(path, names, **options)
        with pytest.raises(ModelError, match=rf"m\.pt2: not a \.pt2 file .*{message}"):
            to_exported(path, None)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [(8, 1, "is encrypted"), (20, 100 << 24, "is compressed"), (24, 100 << 24, "is compressed")],
    ids=["encrypted", "bomb", "bomb too"],
)
def test_members_that_are_not_what_they_say(field: int, value: int, message: str, tmp_path: Path) -> None:
    """In the directory at the archive's end: flags, size and size unpacked of a member."""
    data = bytearray(pt2_case.good())
    with zipfile.ZipFile(io.BytesIO(data)) as file:
        at = file.start_dir + field  # a member is an archive itself
    width = 2 if field == 8 else 4
    data[at : at + width] = value.to_bytes(width, "little")
    (tmp_path / "m.pt2").write_bytes(data)
    with pytest.raises(ModelError, match=message):
        to_exported(tmp_path / "m.pt2", None)


def test_one_member_many_times(tmp_path: Path) -> None:
    """A bomb: entries that share their content."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as file:
        file.writestr("m/archive_format", bytes(5000))
        info = file.infolist()[0]
        for i in range(50):
            again = zipfile.ZipInfo(f"m/{i}")
            again.header_offset, again.CRC = info.header_offset, info.CRC
            again.file_size = again.compress_size = info.file_size
            file.filelist.append(again)
            file._didModify = True
    (tmp_path / "m.pt2").write_bytes(content.getvalue())
    with pytest.raises(ModelError, match="said to be larger than the file"):
        to_exported(tmp_path / "m.pt2", None)


def signature(data: dict[str, Any]) -> dict[str, Any]:
    return data["graph_module"]["module_call_graph"][0]["signature"]


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        (WEIGHTS, lambda d: d.pop("config"), "'config' is missing"),
        (WEIGHTS, lambda d: d["config"].update(more=5), "'more': found 5, expected an object"),
        (WEIGHTS, lambda d: d["config"]["conv.weight"].update(path_name="weight_/../x"), "expected weight_N"),
        (WEIGHTS, lambda d: d["config"]["conv.weight"].update(path_name="weight_77"), "weight_77 is missing"),
        (WEIGHTS, lambda d: d["config"]["conv.weight"]["tensor_meta"].update(sizes=[{"as_int": 1 << 60}]), "fits into"),
        (WEIGHTS, lambda d: d["config"]["conv.weight"]["tensor_meta"].update(sizes=[{"as_int": -1}]), "fits into"),
        (WEIGHTS, lambda d: d["config"]["conv.weight"].update(tensor_meta=None), "tensor_meta: found None"),
        (CONSTANTS, lambda d: d.update(config=[]), "expected an object"),
        (MODEL, lambda d: d.pop("graph_module"), "'graph_module' is missing"),
        (MODEL, lambda d: d.update(range_constraints={"u" + "9" * 30: {}}), "expected names of sizes"),
        (MODEL, lambda d: d["graph_module"]["graph"]["nodes"].append(3), "found 3, expected an object"),
        (MODEL, lambda d: d["graph_module"]["graph"]["nodes"][0].update(target=[]), "target: found"),
        (MODEL, lambda d: d["graph_module"]["graph"].update(nodes=5), "nodes: found 5, expected a list"),
        (MODEL, lambda d: d["graph_module"]["graph"]["tensor_values"].update(x=5), "found 5, expected an object"),
        (MODEL, lambda d: d["graph_module"]["graph"].update(inputs=[]), "not a .pt2 file that this PyTorch"),
        (MODEL, lambda d: d["graph_module"]["graph"]["nodes"].pop(1), "not a .pt2 file that this PyTorch"),
        (WEIGHTS, lambda d: d["config"].pop("conv.weight"), "not a .pt2 file that this PyTorch"),
        (CONSTANTS, lambda d: d.update(config={}), "not a .pt2 file that this PyTorch"),
        (MODEL, lambda d: signature(d).update(out_spec="[1]"), "structure"),
        (MODEL, lambda d: signature(d).update(out_spec="[" * 999), "deep"),
        (MODEL, lambda d: signature(d).update(forward_arg_names=["("]), "a name"),
    ],
)  # fmt: skip
def test_programs_with_wrong_members(name: str, change, message: str, tmp_path: Path) -> None:
    content = members()
    edit(content, name, change)
    with pytest.raises(ModelError, match=rf"m\.pt2: .*{message}"):
        to_exported(write(tmp_path / "m.pt2", content), None)


def newer(path: Path) -> Path:
    content = members()
    edit(content, MODEL, lambda data: data["schema_version"].update(major=98))
    return write(path, content)


def folder(path: Path) -> Path:
    path.mkdir()
    return path


def state_dict(path: Path) -> Path:
    torch.save({"weight": torch.zeros(2)}, path)
    return path


def old_with_an_object(path: Path) -> Path:
    pickled = io.BytesIO()
    torch.save({"weight": Path("/")}, pickled)
    return write(path, {**old_members(), "serialized_state_dict.pt": pickled.getvalue()}, root="")


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (newer, r"can read \(SerializeError: Serialized schema version SchemaVersion\(major=98, .* does not match"),
        (folder, "is a folder; expected a .pt2"),
        (state_dict, r"has weights and no network \(torch\.save\), expected a \.pt2 or ONNX; in Python: "),
        (old_with_an_object, r"serialized_state_dict\.pt holds other things .* is to run code \(.*PosixPath.*\)"),
    ],
)
def test_why_a_file_can_not_be_read(make, reason: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """What PyTorch only logs is in the message, and nowhere else."""
    handlers, propagates = logging.getLogger("torch.export").handlers, logging.getLogger("torch.export").propagate
    with pytest.raises((ModelError, NotSupportedError), match=rf"m\.pt2: ?.*{reason}"):
        to_exported(make(tmp_path / "m.pt2"), None)
    assert capfd.readouterr().err == ""
    assert logging.getLogger("torch.export").handlers is handlers
    assert logging.getLogger("torch.export").propagate is propagates


@pytest.mark.parametrize("member", [WEIGHTS, CONSTANTS, MODEL])
@pytest.mark.parametrize("text", ["", "[" * 100_000, '{"a":NaN}', "9" * 401, "\x00", '{"config":{},"config":{}}'])
def test_texts_that_are_no_data(member: str, text: str, tmp_path: Path) -> None:
    content = {**members(), member: text.encode()}
    with pytest.raises(ModelError, match=rf"m\.pt2: not a \.pt2 file .*{member}: "):
        to_exported(write(tmp_path / "m.pt2", content), None)


def test_more_than_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "m.pt2", members())
    needed = 4 * sum(t.numel() for t in pt2_case.exported().state_dict.values())
    monkeypatch.setattr(archive, "available_bytes", lambda: path.stat().st_size)
    assert to_exported(path, None)
    monkeypatch.setattr(archive, "available_bytes", lambda: needed)
    with pytest.raises(ModelError, match="more than"):
        to_exported(path, None)
    calls = iter([path.stat().st_size, needed - 1])
    monkeypatch.setattr(archive, "available_bytes", lambda: next(calls))
    with pytest.raises(ModelError, match=f"tensors of {needed} bytes, more than this machine has memory"):
        to_exported(path, None)
    monkeypatch.setattr(archive, "available_bytes", lambda: 1 << 40)
    monkeypatch.setattr(archive, "MOST_JSON", 100)
    with pytest.raises(ModelError, match=rf"{MODEL} has \d+ bytes, expected at most 100"):
        to_exported(path, None)


@pytest.mark.parametrize("kind", ["pipe", "/dev/zero", "huge"])
def test_what_is_no_file(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "m.pt2" if kind[0] != "/" else Path(kind)
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "huge":
        path.touch()
        os.truncate(path, 20 * 10**9)
    with pytest.raises(
        ModelError, match=f"{path}: .*(it is a pipe|it is a device|19073 MiB, more than|not a zip file)"
    ):
        to_exported(path, None)


def test_another_byte_order(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="byteorder: found b'big', expected little"):
        to_exported(write(tmp_path / "m.pt2", {**members(), "byteorder": b"big"}), None)


@pytest.mark.parametrize("size", ["s0", "2*s0 + 1", "Max(1, s0 - u3)", "FloorDiv(s77, 2)"])
def test_sizes_that_depend_on_inputs_are_left_to_the_importer(size: str) -> None:
    content = members()
    pt2_case.sized(size)(content)
    assert checked_program(json.loads(content[MODEL]), where="m")


def test_a_dynamic_program_is_named_as_such(tmp_path: Path) -> None:
    batch = torch.export.Dim("batch", min=2, max=9)
    program = torch.export.export(pt2_case.Net().eval(), (X.expand(2, -1, -1, -1),), dynamic_shapes=({0: batch},))
    torch.export.save(program, tmp_path / "m.pt2")
    with pytest.raises(NotSupportedError, match="is dynamic, expected fixed sizes"):
        to_exported(tmp_path / "m.pt2", None)


def test_the_command_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = attacked("weight", tmp_path, tmp_path / "made")
    assert main(["compile", str(path), "-o", str(tmp_path / "m.so")]) == 3
    assert "weight.pt2: 'more' is stored as a pickled object" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"type": "their.Own", "context": None}, "of type 'their.Own', expected tensors, tuples"),
        ({"type": "builtins.dict", "context": "[" * 50_000}, "context: found .*, too deep"),
        ({"type": "builtins.dict", "context": '[{"a":[{"\\u005f_enum__":1,"\\u005f_enum__":1}]}]'}, "names a module"),
        ({"type": "builtins.dict", "context": [{"a": {"__enum__": 1}}]}, "names a module"),
        ({"type": "builtins.dict", "context": "their.Own"}, "not a .pt2 file that this PyTorch"),
        ({"type": ["a"], "context": None}, r"of type \['a'\], expected tensors"),
    ],
)
def test_structures_of_outputs(spec: dict[str, Any], message: str, tmp_path: Path) -> None:
    content = members()
    pt2_case.structured(spec)(content)
    with pytest.raises((ModelError, NotSupportedError), match=message):
        to_exported(write(tmp_path / "m.pt2", content), None)
