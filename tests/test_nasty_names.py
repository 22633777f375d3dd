"""One network whose layers have the nastiest names there can be, through everything that shows or writes names."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from cli_case import command
from nets import impose_1xn
from torch import nn

import sparsecc
from sparsecc import prune
from sparsecc.build.emit import c_comment, c_string
from sparsecc.cli import main
from sparsecc.errors import ModelError, NotSupportedError
from sparsecc.importer.names import Keys
from sparsecc.text import file_stem, printable

NAMES = [
    'quote"s', "back\\slash\\", "new\nline\r", "nul\0", "\x1bcreset\x9b1m\b\x7f\a", "[red]markup[/red] :smile:",
    "\u202ertl\u200f\u2028", "üñí中文", "long" * 500, '"""*/ /* ??/ %s{}{0}$\\frac$<b>&', "\ud800", "L['self']", " ",
]  # fmt: skip
SHAPE = (1, 8, 6, 6)


class Nasty(nn.Module):
    """A convolution of every name, one after another; some are pruned."""

    def __init__(self) -> None:
        super().__init__()
        for name in NAMES:
            self.add_module(name, nn.Conv2d(8, 8, 3 if name == NAMES[0] else 1, padding=int(name == NAMES[0])))
        self.head = nn.Linear(8, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for name in NAMES:
            x = torch.tanh(getattr(self, name)(x))
        return self.head(x.mean((2, 3)))


@pytest.fixture(scope="module")
def net() -> nn.Module:
    torch.manual_seed(0)
    model = Nasty().eval()
    impose_1xn(model, 8, 0.5, include=NAMES[1:])
    return model


@pytest.fixture(scope="module")
def made(net: nn.Module, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the model, its library, and what every stage made."""
    folder = tmp_path_factory.mktemp("nasty")
    torch.export.save(torch.export.export(net, (torch.randn(SHAPE),)), folder / "model.pt2")
    done = command("compile", folder / "model.pt2", "-o", folder / "model.so", "--dump", folder / "stages")
    assert done.returncode == 0, done.stderr
    (folder / "said").write_text(done.stdout + done.stderr)
    return folder


def check_shown(text: str, names: list[str] = NAMES) -> None:
    """No control characters but line ends, and every name, as far as there is room."""
    assert all(c.isprintable() or c == "\n" for c in text)
    for name in names:
        if name != " " and len(name) < 20:
            assert printable(name) in text


def said(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    assert main([str(argument) for argument in arguments]) == 0
    found = capsys.readouterr()
    assert all(c.isprintable() or c == "\n" for c in found.err)
    return found.out


def named(layers: list[dict[str, object]]) -> list[object]:
    return [layer["name"] for layer in layers if layer["name"] not in (None, "head")]


def test_compiled_and_inspected(made, capsys):
    check_shown((made / "said").read_text())
    check_shown(said(capsys, "inspect", made / "model.so"))
    check_shown(said(capsys, "inspect", made / "model.pt2"))
    for file in ("model.so", "model.pt2"):
        found = json.loads(said(capsys, "inspect", made / file, "--json"))
        plan = found["plan"] if "plan" in found else found["report"]["plan"]
        assert named(plan["layers"]) == NAMES
    check_shown(str(sparsecc.load(made / "model.so").report))
    for stage in (made / "stages").iterdir():
        text = stage.read_text(encoding="utf-8")
        assert all(c.isprintable() or c in "\n\t" for c in text), stage
        if stage.suffix == ".py":
            compile(text, str(stage), "exec")
    check_shown((made / "stages" / "03_analyse.txt").read_text(encoding="utf-8"))


def test_profiled_and_timed(made, capsys):
    check_shown(said(capsys, "bench", made / "model.so", "--layers", "--runs", 1))
    found = json.loads(said(capsys, "bench", made / "model.so", "--layers", "--runs", 1, "--json"))
    assert named(found["layers"]) == NAMES
    library = sparsecc.load(made / "model.so")
    keys = [key for key, _ in library.profile(torch.randn(SHAPE), runs=1)]
    assert all(re.fullmatch(r"\w{1,150}", key, re.ASCII) for key in keys)
    assert len(keys) == len(set(keys))


def test_advised(made, tmp_path, capsys):
    files = ["--plot", tmp_path / "a.svg", "--json", tmp_path / "a.json"]
    check_shown(said(capsys, "advise", made / "model.pt2", "--target", "x86-64-v3", "--n", "8", *files), NAMES[1:])
    found = json.loads((tmp_path / "a.json").read_text())
    advised = [layer["name"] for layer in found["layers"]]
    assert advised == NAMES[1:]
    assert all(c.isprintable() or c in "\n\t" for c in (tmp_path / "a.svg").read_text(encoding="utf-8"))
    check_shown(str(sparsecc.Advice.from_json(found)), NAMES[1:])


def test_tuned(made, tmp_path, capsys):
    log, plot = tmp_path / "log.jsonl", tmp_path / "tuned.svg"
    shown = said(capsys, "tune", made / "model.pt2", "--log", log, "--trials", 1, "--plot", plot)
    assert all(c.isprintable() or c == "\n" for c in shown)
    assert len(log.read_text().splitlines()) >= 1


def test_kept_dense_and_pruned_by_name(net, made, tmp_path):
    plan = sparsecc.inspect(net, "x86-64-v3", example_inputs=(torch.randn(SHAPE),), keep_dense=NAMES)
    assert {layer.reason for layer in plan.layers if layer.name in NAMES} == {"kept dense by keep_dense="}
    model = Nasty()
    pruner = prune.OneByN(4, 0.5, layers=NAMES, rates={NAMES[2]: 0.25})
    pruner.apply(model)
    assert list(pruner.sparsities()) == NAMES
    check_shown(str(pruner.report()))
    with pytest.raises(ModelError, match=r"layer new\\nline\\r: has a mask already"):
        prune.OneByN(4, 0.5, layers=[NAMES[2]]).apply(model)


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_terminals_of_every_encoding(encoding, made):
    done = subprocess.run(
        [sys.executable, "-m", "sparsecc", "inspect", str(made / "model.so")],
        capture_output=True, env={"PYTHONIOENCODING": encoding, "PATH": "/usr/bin", "PYTHONPATH": str(Path.cwd())},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "üñí中文".encode(encoding, "backslashreplace") in done.stdout


class Refused(nn.Module):
    def __init__(self, name: str) -> None:
        super().__init__()
        self.add_module(name, nn.Module())
        getattr(self, name).forward = lambda x: torch.linalg.svdvals(x)
        self.name = name

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return getattr(self, self.name)(x)


@pytest.mark.parametrize("name", [NAMES[2], NAMES[3], "\ud800", "un)(balanced[,;", "\x1b[31mred"])
def test_messages(name):
    with pytest.raises(NotSupportedError) as caught:
        sparsecc.compile(Refused(name), "x86-64-v3", example_inputs=(torch.randn(1, 1, 4, 4),))
    assert str(caught.value).isprintable()
    assert str(caught.value).startswith(f"layer {printable(name)}: operator")


def test_names_that_are_code_do_not_run(tmp_path):
    """PyTorch writes names of weights into code that it runs: as they are."""
    marker = tmp_path / "marker"
    name = f'weight" if open("{marker}", "w") else "'
    model = nn.Sequential()
    model.add_module(name, nn.Linear(4, 4))
    path = tmp_path / "model.pt2"
    torch.export.save(torch.export.export(model, (torch.randn(1, 4),)), path)
    lib = sparsecc.compile(path, "native")
    assert [layer.name for layer in lib.plan.layers] == [name]
    assert not marker.exists()


def test_weights_and_buffers_of_any_name():
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_parameter('a"b', nn.Parameter(torch.randn(4, 4)))
            self.register_buffer("c\nd", torch.randn(4), persistent=False)
            self.register_buffer("renamed_0", torch.randn(4))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return nn.functional.linear(x, getattr(self, 'a"b'), getattr(self, "c\nd")) * self.renamed_0

    model, x = Net().eval(), torch.randn(2, 4)
    program = torch.export.export(model, (x,))
    lib = sparsecc.compile(program, "native", example_inputs=(x,))
    torch.testing.assert_close(lib(x), model(x).detach(), rtol=1e-4, atol=1e-5)
    assert 'a"b' in program.state_dict


def test_keys_are_short_and_each_is_given_once():
    keys = Keys()
    found = [keys.take(name) for name in (*NAMES, *NAMES, "a" * 5000, "a" * 5001)]
    assert len(set(found)) == len(found)
    assert all(re.fullmatch(r"[A-Za-z]\w{0,140}", key, re.ASCII) for key in found)
    assert keys.take("layers.3.conv1") == "layers_3_conv1"


@pytest.mark.parametrize("name", NAMES)
def test_the_helpers(name):
    assert printable(name).isprintable()
    assert printable(printable(name)) == printable(name)
    assert printable("a\n\x1b", keep="\n") == "a\n\\x1b"
    assert re.fullmatch(r"[\w.-]{1,60}", file_stem(name), re.ASCII)
    comment = c_comment(name)
    assert comment.isprintable()
    assert not any(part in comment for part in ("*/", "/*", "\\", "??"))
    if name != "\ud800":
        assert re.fullmatch(r'"[ -~]*"', c_string(name))
