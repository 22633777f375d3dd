"""What a model returns is what its library returns: dicts, lists, tuples and None, with names, in every language."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from dataclasses import replace
from typing import Any

import hypothesis.strategies as st
import kernels_c
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from output_forms import FORMS, Net, image, net, plain

import sparsecc
from sparsecc.build.check import check_program
from sparsecc.errors import InputError, InternalError, LibraryError, NotSupportedError
from sparsecc.importer import import_model, outputs
from sparsecc.runtime import read_description, structure
from sparsecc.runtime.structure import parse_structure

ZIG = (sys.executable, "-m", "ziglang", "cc", "-target", "x86_64-linux-gnu.2.28")

#: runs in a process that can't import PyTorch or TVM: every library of a folder, results to files
ALONE = """
import pickle, sys
sys.modules["torch"] = sys.modules["tvm"] = None
import pathlib, numpy as np, sparsecc
folder = pathlib.Path(sys.argv[1])
x = np.load(folder / "x.npy")
found = {}
for path in folder.glob("*.so"):
    library = sparsecc.load(path, threads=1)
    found[path.stem] = [port.name for port in library.outputs], library(x)
(folder / "found.pickle").write_bytes(pickle.dumps(found))
"""


@pytest.fixture(scope="module")
def compiled() -> dict[str, sparsecc.Compiled]:
    """A network of every form."""
    return {
        name: sparsecc.compile(net(form), "native", example_inputs=(image(),), threads=1)
        for name, (form, _) in FORMS.items()
    }


def expected(name: str) -> Any:
    with torch.no_grad():
        return plain(net(FORMS[name][0])(image()))


def same(found: Any, wanted: Any) -> None:
    """Equal containers of the very same types, arrays that are close."""
    assert type(found) is type(wanted)
    if isinstance(wanted, np.ndarray):
        assert found.shape == wanted.shape
        np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5)
    elif isinstance(wanted, dict):
        assert sorted(map(repr, found)) == sorted(map(repr, wanted))
        for key, value in wanted.items():
            same(found[key], value)
    elif isinstance(wanted, (list, tuple)):
        assert len(found) == len(wanted)
        for one, other in zip(found, wanted, strict=True):
            same(one, other)


@pytest.mark.parametrize("name", FORMS)
def test_a_call_returns_what_the_model_returns(compiled, name):
    network = compiled[name]
    assert [port.name for port in network.outputs] == [port.name for port in network.library.outputs] == FORMS[name][1]
    found = network(image().numpy())
    same(found, expected(name))
    tensors = network(image())
    assert {type(leaf) for leaf in leaves(tensors)} == {torch.Tensor}
    same(plain(tensors), found)


def leaves(value: Any) -> list[Any]:
    """Arrays or tensors, in order."""
    if isinstance(value, (dict, list, tuple)):
        values = value.values() if isinstance(value, dict) else value
        return [leaf for member in values for leaf in leaves(member)]
    return [] if value is None else [value]


def test_a_fresh_process_without_torch_returns_the_same(compiled, tmp_path):
    np.save(tmp_path / "x.npy", image().numpy())
    for name, network in compiled.items():
        network.save(tmp_path / f"{name}.so")
    subprocess.run([sys.executable, "-c", ALONE, str(tmp_path)], check=True)
    found = pickle.loads((tmp_path / "found.pickle").read_bytes())
    assert found.keys() == FORMS.keys()
    for name, (names, result) in found.items():
        assert names == FORMS[name][1]
        same(result, expected(name))


@pytest.mark.parametrize("name", ["tensor", "tuple of one", "dict", "nested", "None", "integer keys"])
def test_out_is_flat_or_has_the_structure(compiled, name):
    library = compiled[name].library
    x, wanted = image().numpy(), expected(name)
    memory = tuple(np.empty(port.shape, port.dtype) for port in library.outputs)
    found = library(x, out=memory)
    assert isinstance(found, tuple)
    assert all(one is other for one, other in zip(found, memory, strict=True))
    out = library(x)
    for leaf in leaves(out):
        leaf.fill(np.nan)
    found = library(x, out=out)
    same(found, wanted)
    assert all(one is other for one, other in zip(leaves(found), leaves(out), strict=True))
    if len(memory) == 1:
        assert library(x, out=memory[0]) is memory[0]


@pytest.mark.parametrize("name", ["tensor", "nested", "registered", "model output", "integer keys"])
def test_a_pt2_file_keeps_the_structure(name, tmp_path):
    form, names = FORMS[name]
    torch.export.save(torch.export.export(net(form), (image(),)), tmp_path / "model.pt2")
    imported = import_model(tmp_path / "model.pt2")
    assert [port.name for port in imported.outputs] == names
    found = parse_structure(imported.structure, outputs=len(names)).pack(leaves(expected(name)))
    same(found, expected(name))


def test_out_of_another_structure_is_named(compiled):
    x, y = image().numpy(), np.empty((1, 4, 4, 4), np.float32)
    nested, with_none = compiled["nested"].library, compiled["None"].library
    for library, out, message in [
        (nested, {"p": 1}, r"model, out: found dict of 1, expected a dict with the keys \['p', 'q', 'r'\]"),
        (nested, {"p": (y,), "q": None, "r": None}, r"model, out\['p'\]: found tuple of 1, expected a tuple of 2"),
        (nested, {"p": (y, y), "q": None, "r": None}, r"out\['p'\]\[1\]: found ndarray, expected a list of 3"),
        (nested, {"p": (y, [y, None, {}]), "q": y, "r": None}, r"out\['q'\]: found ndarray, expected None"),
        (nested, (y, y), r"found 2 output\(s\), expected 3 \(p_0, p_1_0, r_0_0\)"),
        (nested, {"p": (y, [y, None, {}]), "q": None, "r": (("z",), ())}, r"out 2 \(r_0_0\): found str"),
        (with_none, (None, y), "out: found tuple of 2, expected a tuple of 3 as the network returns"),
        (compiled["tensor"].library, {"out": y}, r"out 0 \(output\): found dict"),
    ]:
        with pytest.raises(InputError, match=message):
            library(x, out=out)


def refused() -> dict[str, tuple[Any, str]]:
    return {
        "integer": (lambda x, y, k: {"o": y, "aux": {"count": 3}}, "model: output aux.count is 3, expected a tensor"),
        "text": (
            lambda x, y, k: [y, {"s": "a" * 999}],
            r"model: output \[1\].s is 'aaa.*\.\.\..*a', expected a tensor",
        ),
        "number": (lambda x, y, k: (y, 1.5), r"model: output \[1\] is 1.5, expected"),
        "flag": (lambda x, y, k: {"a\x1b[2J": True, "y": y}, r"model: output \['a\\x1b\[2J'\] is True, expected"),
        "size": (lambda x, y, k: (y, y.shape), r"model: output \[1\]\[0\] is 1, expected"),
        "only a number": (lambda x, y, k: 3, "model: its output is 3, expected a tensor"),
        "double": (lambda x, y, k: y.double(), r"torch.float64, expected torch.float32"),
        "empty": (lambda x, y, k: (y, torch.zeros(0, 2)), r"output \[1\] has shape \(0, 2\), expected sizes from 1"),
        "nothing": (lambda x, y, k: {}, "it has no outputs, expected at least one tensor"),
        "only None": (lambda x, y, k: (None, [None]), "it has no outputs, expected at least one tensor"),
        "key": (
            lambda x, y, k: {"a": {(1, 2): y}},
            r"output a has the key \(1, 2\), expected keys that are text or int",
        ),
        "flag as key": (lambda x, y, k: {True: y}, "its output has the key True, expected keys that are text or int"),
        "large key": (lambda x, y, k: {1 << 63: y}, "its output has the key 9223372036854775808, expected"),
        "too deep": (lambda x, y, k: deep(y, outputs.MAX_DEPTH + 1), "its result is nested more than 32 levels deep"),
        "class": (lambda x, y, k: slice(y), "return tuples, lists and dicts, or register the class"),
    }


def deep(y: Any, depth: int) -> Any:
    for _ in range(depth):
        y = [y]
    return y


@pytest.mark.parametrize("name", refused())
def test_what_is_no_tensor_is_named_by_its_path(name):
    form, message = refused()[name]
    with pytest.raises(NotSupportedError, match=message):
        import_model(net(form), (image(),))


def test_as_deep_as_is_allowed():
    assert outputs.MAX_DEPTH == structure.MAX_DEPTH
    compiled = sparsecc.compile(net(lambda x, y, k: deep(y, outputs.MAX_DEPTH)), example_inputs=(image(),))
    found = compiled(image())
    for _ in range(outputs.MAX_DEPTH):
        (found,) = found
    assert found.shape == (1, 4, 4, 4)


KEYS = st.one_of(st.text(max_size=8), st.integers(-9, 9), st.sampled_from(["a", "A", "a_b", "a b", "0", "class"]))
#: results with True where a tensor is
RESULTS = st.recursive(
    st.sampled_from([True, True, None]),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.lists(inner, max_size=3).map(tuple), st.dictionaries(KEYS, inner, max_size=3)
    ),
    max_leaves=12,
)


@given(RESULTS.filter(leaves))
@settings(max_examples=20)
def test_any_structure_comes_back(result):
    def filled(value: Any, numbers: Any) -> Any:
        """The structure with a number for each tensor."""
        if isinstance(value, dict):
            return {key: filled(member, numbers) for key, member in value.items()}
        if isinstance(value, (list, tuple)):
            return type(value)(filled(member, numbers) for member in value)
        return next(numbers) if value else None

    count = len(leaves(result))
    model = Net(lambda x, y, k: filled(result, iter([y + i for i in range(count)])))
    imported = import_model(model.eval(), (image(),))
    names = [port.name for port in imported.outputs]
    assert len(set(names)) == len(names) == count
    assert all(name.replace("_", "a").isalnum() and not name[0].isdigit() for name in names)
    parsed = parse_structure(json.loads(json.dumps(imported.structure)), outputs=count)
    packed = parsed.pack(range(count))
    assert repr(packed) == repr(filled(result, iter(range(count))))
    assert parsed.unpack(packed, where="out") == list(range(count))


DAMAGED = [
    True, 0.0, "0", [0, 1], 0, 1, {}, {"tuple": [0]}, {"tuple": [1, 0]}, {"tuple": [0, 0]}, {"tuple": [0, 1, 2]},
    {"tuple": [0, True]}, {"tuple": 2}, {"tuple": [0], "list": [1]}, {"set": [0, 1]}, {"dict": [0, 1]},
    {"dict": {"a": 0, "b": 1}}, {"dict": [["a", 0], ["a", 1]]}, {"dict": [["a", 0], [None, 1]]},
    {"dict": [["a", 0], [True, 1]]}, {"dict": [["a", 0], ["b"]]}, {"dict": [["a", 0], [["b"], 1]]},
    {"list": [0, deep(1, 40)]}, {"list": [0, -1]}, {"list": [0, 10**400]},
]  # fmt: skip


@pytest.mark.parametrize("data", DAMAGED, ids=lambda data: str(data)[:40])
def test_damaged_structures(data):
    with pytest.raises(ValueError, match=r"^structure: "):
        parse_structure(data, outputs=2)


@pytest.mark.parametrize("data", [{"tuple": [0]}, {"tuple": [1, 0]}, {"dict": [["a", 0], ["a", 1]]}])
def test_a_program_with_a_wrong_structure_is_our_bug(data):
    program = replace(kernels_c.two_ports(), structure=data)
    with pytest.raises(InternalError, match=r"program pair: structure: .*; expected one place for each output"):
        check_program(program)


@pytest.mark.parametrize("wrong", ["[0,0]", "[1,0]", "[0,[", "[0,7]"])
def test_a_library_with_a_damaged_structure(wrong, tmp_path):
    path = tmp_path / "pair.so"
    kernels_c.link(kernels_c.two_ports(), path)
    whole = path.read_bytes()
    assert whole.count(b'"structure":{"tuple":[0,1]}') == 1
    path.write_bytes(whole.replace(b'{"tuple":[0,1]}', b'{"tuple":%b}' % wrong.encode().ljust(5)))
    for read in (sparsecc.load, read_description):
        with pytest.raises(LibraryError, match="damaged"):
            read(path)


def test_structures_deeper_than_any_are_refused():
    data: Any = 0
    for _ in range(5000):
        data = {"list": [data]}
    with pytest.raises(ValueError, match="at most 32 deep"):
        parse_structure(data, outputs=1)


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-1, 3), st.text(max_size=3)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.sampled_from(["tuple", "list", "dict", "x"]), inner, max_size=2),
        st.lists(st.tuples(st.text(max_size=2), inner).map(list), max_size=3).map(lambda pairs: {"dict": pairs}),
        st.lists(inner, max_size=3).map(lambda members: {"tuple": members}),
    ),
    max_leaves=8,
)


@given(JSON, st.integers(0, 3))
@settings(max_examples=300)
def test_any_document_is_a_structure_or_refused(data, count):
    try:
        parsed = parse_structure(data, outputs=count)
    except ValueError:
        return
    assert leaves(parsed.pack(range(count))) == list(range(count))
