"""Files of exported programs with something in them that runs when PyTorch reads them, or that is damaged."""

from __future__ import annotations

import functools
import io
import json
import pickle
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch._export.serde.serialize import serialize

JSON = dict[str, Any]
Members = dict[str, bytes]

MODEL = "models/model.json"
WEIGHTS, CONSTANTS = "data/weights/model_weights_config.json", "data/constants/model_constants_config.json"
X = torch.linspace(-1, 1, 3 * 64).reshape(1, 3, 8, 8)


class Net(nn.Module):
    """Parameters, a constant, and tensors of every kind that a file has."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.register_buffer("scale", torch.arange(1.0, 5.0).reshape(4, 1, 1), persistent=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Something with a list among its arguments."""
        y = self.conv(x) * self.scale
        return torch.cat([y, torch.relu(y)], 1) + torch.tensor([0.5])


@functools.cache
def exported() -> torch.export.ExportedProgram:
    torch.manual_seed(0)
    return torch.export.export(Net().eval(), (X,))


@functools.cache
def good() -> bytes:
    """What torch.export.save writes."""
    file = io.BytesIO()
    torch.export.save(exported(), file)
    return file.getvalue()


def members() -> Members:
    """Name -> content, without the folder."""
    with zipfile.ZipFile(io.BytesIO(good())) as archive:
        return {name.partition("/")[2]: archive.read(name) for name in archive.namelist()}


def old_members() -> Members:
    """The same program as PyTorch 2.7 kept it."""
    made = serialize(exported())
    from torch._export.serde.schema import SCHEMA_VERSION

    return {
        "version": ".".join(map(str, SCHEMA_VERSION)).encode(),
        "serialized_exported_program.json": made.exported_program,
        "serialized_state_dict.pt": made.state_dict,
        "serialized_constants.pt": made.constants,
        "serialized_example_inputs.pt": made.example_inputs,
    }


def write(path: Path, content: Members, *, root: str = "net/") -> Path:
    """An archive of members."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in content.items():
            archive.writestr(root + name, data)
    return path


class Touch:
    """When it is unpickled, a file is made."""

    def __init__(self, marker: Path) -> None:
        self._marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return open, (str(self._marker), "w")


def payload(marker: Path) -> bytes:
    return pickle.dumps(Touch(marker), protocol=2)


def code(marker: Path) -> str:
    """An expression that makes the file; only characters that names of nodes keep."""
    return f"open('{marker}','w')"


def put(content: Members, name: str, data: bytes) -> None:
    content[name] = data


def edit(content: Members, name: str, change: Callable[[JSON], None]) -> None:
    """Change a member's data."""
    data = json.loads(content[name])
    change(data)
    content[name] = json.dumps(data).encode()


def renamed(old: str, new: str) -> Callable[[Members], None]:
    """Change a text everywhere in the program."""

    def change(content: Members) -> None:
        content[MODEL] = content[MODEL].replace(json.dumps(old).encode(), json.dumps(new).encode())

    return change


def pickled_tensor(table: str, place: str) -> Callable[[Members, Path], None]:
    def change(content: Members, marker: Path) -> None:
        def entry(data: JSON) -> None:
            data["config"]["more"] = {"path_name": place, "is_param": False, "use_pickle": True, "tensor_meta": None}

        edit(content, table, entry)
        content[f"{table.rpartition('/')[0]}/{place}"] = payload(marker)

    return change


def node_of(target: str, **inputs: Any) -> Callable[[Members], None]:
    """One more call in the graph."""

    def add(data: JSON) -> None:
        graph = data["graph_module"]["graph"]
        arguments = [{"name": name, "arg": arg, "kind": 1} for name, arg in inputs.items()]
        graph["nodes"].insert(0, {"target": target, "inputs": arguments, "outputs": [], "metadata": {}, "name": "more"})

    return lambda content: edit(content, MODEL, add)


def sized(expression: str) -> Callable[[Members], None]:
    def change(data: JSON) -> None:
        values = data["graph_module"]["graph"]["tensor_values"]
        values["x"]["sizes"][0] = {"as_expr": {"expr_str": expression, "hint": None}}

    return lambda content: edit(content, MODEL, change)


def structured(spec: JSON) -> Callable[[Members], None]:
    def change(data: JSON) -> None:
        for entry in data["graph_module"]["module_call_graph"]:
            if entry["signature"]:
                leaf = {"type": None, "context": None, "children_spec": []}
                entry["signature"]["out_spec"] = json.dumps([1, {**spec, "children_spec": [leaf]}])

    return lambda content: edit(content, MODEL, change)


@dataclass(frozen=True)
class Attack:
    """A change of a file that makes PyTorch run something.

    Attributes
    ----------
    change : callable
        Changes members so that reading them makes a file.
    message : str
        What is said of it; nothing if the file is as good without what was added.
    old : bool
        In an archive of PyTorch 2.7.
    works : bool
        Whether PyTorch alone makes the file; else another check of its own, later, happens to stop it.
    """

    change: Callable[[Members, Path], None]
    message: str = ""
    old: bool = False
    works: bool = True


OBJECT = "stored as a pickled object .*, which is code"
PICKLE = "holds other things than tensors, and to read them is to run code"
OPERATOR = "operator .* is not supported; expected PyTorch's own"
MODULE = "touching"  # a module of this name is in the folder that PyTorch runs in

ATTACKS = {
    "sample inputs": Attack(lambda c, m: put(c, "data/sample_inputs/model.pt", payload(m))),
    "weight": Attack(pickled_tensor(WEIGHTS, "weight_9"), OBJECT),
    "constant": Attack(pickled_tensor(CONSTANTS, "tensor_9"), OBJECT),
    # PyTorch 2.12 does not know such objects
    "opaque object": Attack(
        pickled_tensor(CONSTANTS, "opaque_obj_9"), OBJECT, works=not torch.__version__.startswith("2.12.")
    ),
    "script object": Attack(pickled_tensor(CONSTANTS, "custom_obj_9"), OBJECT, works=False),
    "old weights": Attack(lambda c, m: put(c, "data/weights/model.pt", payload(m)), PICKLE),
    "old constants": Attack(lambda c, m: put(c, "data/constants/model.pt", payload(m)), PICKLE),
    "older weights": Attack(lambda c, m: put(c, "serialized_state_dict.pt", payload(m)), PICKLE, old=True),
    "older constants": Attack(lambda c, m: put(c, "serialized_constants.pt", payload(m)), PICKLE, old=True),
    "older inputs": Attack(lambda c, m: put(c, "serialized_example_inputs.pt", payload(m)), old=True),
    "compiled code": Attack(lambda c, m: put(c, "data/aotinductor/model/model.so", payload(m)), works=False),
    "size": Attack(lambda c, m: sized(code(m))(c), "found the size .*open.*, expected fixed sizes"),
    "name": Attack(lambda c, m: renamed("x", f"x={code(m)}")(c), "name: found .*, expected a name"),
    "parameter": Attack(
        lambda c, m: renamed("conv.weight", f'conv.a", {code(m)}), "')(c), "is not in the state dict", works=False
    ),
    "function": Attack(
        lambda c, m: node_of("torch.os.mknod", path={"as_string": str(m)})(c), OPERATOR, works=False
    ),
    "operator's function": Attack(
        lambda c, m: node_of("_operator.call", f={"as_operator": "torch.os.mknod"}, p={"as_string": str(m)})(c),
        OPERATOR, works=False,
    ),
    "library": Attack(
        lambda c, m: node_of("torch.ops.load_library", p={"as_string": str(m)})(c), OPERATOR, works=False
    ),
    "operator on files": Attack(
        lambda c, m: node_of(
            "torch.ops.aten.from_file.default",
            filename={"as_string": str(m)}, shared={"as_bool": True}, size={"as_int": 4},
        )(c), OPERATOR, works=False,
    ),
    "structure": Attack(
        lambda c, m: structured({
            "type": "builtins.dict",
            "context": json.dumps([{"__enum__": True, "fqn": f"{MODULE}:x", "name": "y"}]),
        })(c), "context: found __enum__ .*, which names a module to import",
    ),
    "factory": Attack(
        lambda c, m: structured({
            "type": "collections.defaultdict",
            "context": {"default_factory_module": MODULE, "default_factory_name": "x", "dict_context": ["a"]},
        })(c), "context: found default_factory_module .*, which names a module to import",
    ),
}  # fmt: skip


def attacked(name: str, folder: Path, marker: Path) -> Path:
    """The file of an attack; ``marker`` is what it makes."""
    attack = ATTACKS[name]
    content = old_members() if attack.old else members()
    attack.change(content, marker)
    return write(folder / f"{name}.pt2", content, root="" if attack.old else "net/")
