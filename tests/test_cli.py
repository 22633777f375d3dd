"""The command line: every command, what it prints where, and its exit codes."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from nets import impose_1xn
from rich.console import Console
from torch import nn

import sparsecc
from sparsecc.cli import main
from sparsecc.cli.failure import guard
from sparsecc.cli.parser import COMMANDS, make_parser
from sparsecc.cli.progress import Stages
from sparsecc.cli.table import Column, print_table
from sparsecc.cli.units import in_bytes, in_ms, shape_text, short
from sparsecc.errors import InternalError, LibraryError, NotSupportedError, UserError

ROOT = Path(__file__).parent.parent
NAMES = [module.__name__.rpartition(".")[2] for module in COMMANDS]
SHAPES = [(1, 8, 6, 6), (1, 16, 6, 6)]


class Tiny(nn.Module):
    """Two inputs, two outputs, a layer that becomes sparse."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(8, 16, 3, padding=1)
        self.body = nn.Conv2d(16, 64, 1)
        self.head = nn.Linear(64, 5)

    def forward(self, x: torch.Tensor, y: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        features = torch.relu(self.body(torch.relu(self.stem(x)) + y))
        return self.head(features.mean((2, 3))), features


class Made(SimpleNamespace):
    """Files that the tests share: ``model``, ``library``, the inputs ``x`` and ``y``; ``said``: of its compilation."""


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cli")
    torch.manual_seed(0)
    net = Tiny().eval()
    impose_1xn(net, 16, 0.75, include=["body"])
    inputs = tuple(torch.randn(shape) for shape in SHAPES)
    torch.export.save(torch.export.export(net, inputs), folder / "model.pt2")
    for name, array in zip("xy", inputs, strict=True):
        np.save(folder / f"{name}.npy", array.numpy())
    done = command("compile", folder / "model.pt2", "-o", folder / "model.so")
    assert done.returncode == 0, done.stderr
    paths = {name: folder / f"{name}.npy" for name in "xy"}
    expected = [value.detach().numpy() for value in net(*inputs)]
    return Made(model=folder / "model.pt2", library=folder / "model.so", said=done, expected=expected, **paths)


def command(*arguments: object, alone: bool = False, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run ``sparsecc`` in a process; ``alone`` without torch and TVM."""
    block = "sys.modules['torch'] = sys.modules['tvm'] = None; " if alone else ""
    start = (
        ["-c", f"import sys; {block}from sparsecc.cli import main; sys.exit(main())"] if alone else ["-m", "sparsecc"]
    )
    return subprocess.run(
        [sys.executable, *start, *map(str, arguments)],
        capture_output=True, text=True, cwd=ROOT, env={**os.environ, **variables}, timeout=120,
    )  # fmt: skip


def fails(capsys, *arguments: object) -> tuple[int, str]:
    """Exit code and error text of a command that prints nothing else."""
    code = main([str(argument) for argument in arguments])
    said = capsys.readouterr()
    assert said.out == ""
    assert "Traceback" not in said.err
    return code, said.err


def document(capsys, *arguments: object) -> dict:
    """What a command prints with ``--json``."""
    assert main([*map(str, arguments), "--json"]) == 0
    said = capsys.readouterr()
    assert said.err == ""
    return json.loads(said.out)


# --- help ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_help_of_every_command_has_examples(name, capsys):
    assert main([name, "--help"]) == 0
    said = capsys.readouterr().out
    assert said.partition("examples:\n")[2].count(f"  sparsecc {name}") >= 2


def test_help_lists_the_commands(capsys):
    assert main(["--help"]) == 0
    said = capsys.readouterr().out
    assert all(re.search(rf"\n    {name}\s", said) for name in NAMES)


def test_examples_of_the_help_parse():
    lines = [shlex.split(line) for module in COMMANDS for line in module.EPILOG.splitlines() if "  sparsecc " in line]
    for line in lines:
        assert make_parser().parse_args(line[1:]).execute


def test_version(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"sparsecc {sparsecc.__version__}\n"


def test_nothing_to_do_prints_help(capsys):
    assert main([]) == 2
    assert "usage: sparsecc" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        ["paint"],
        ["compile", "m.pt2"],
        ["compile", "m.pt2", "-o", "m.so", "--no-verify", "--tolerance", "1e-3"],
        ["run", "m.so", "--input", "x.npy"],
        ["bench", "m.so", "--runs", "many"],
        ["bench", "m.so", "--run", "3"],
    ],
)
def test_wrong_calls(arguments, capsys):
    code, said = fails(capsys, *arguments)
    assert code == 2
    assert said.startswith("error: ")
    assert "--help" in said


# --- compile ---------------------------------------------------------------------------------------------------------


def test_compile_writes_library_and_header_and_reports(made):
    assert made.library.exists()
    assert "model_run" in made.library.with_suffix(".h").read_text()
    said = made.said.stdout
    assert "3 layers: 1 sparse, 2 dense" in said
    assert "largest difference from PyTorch" in said
    assert f"wrote {made.library}" in said


def test_compile_tells_its_stages_on_stderr(made):
    lines = made.said.stderr.splitlines()
    assert [line.split(" s  ")[1] for line in lines][:2] == ["load PyTorch and TVM", "import the model"]
    assert "compare with PyTorch" in lines[-2]


def test_output_for_pipes_is_plain_and_narrow(made):
    assert "\x1b" not in made.said.stdout + made.said.stderr
    table = made.said.stdout.partition("\nlargest")[0]
    assert max(map(len, table.splitlines())) <= 100
    assert not any(line.endswith(" ") for line in table.splitlines())


def test_compile_with_options(made, tmp_path, capsys):
    out = tmp_path / "net.a"
    found = document(
        capsys, "compile", made.model, "-o", out, "--name", "net", "--target", "x86-64-v3", "--no-verify",
        "--keep-dense", "bo*", "--dump", tmp_path / "stages", "--threads", 1,
    )  # fmt: skip
    assert found["library"] == str(out)
    assert found["file_bytes"] == out.stat().st_size
    assert found["report"]["target"] == "x86-64-v3"
    assert found["report"]["error"] is None
    assert [layer["decision"] for layer in found["report"]["plan"]["layers"]] == ["dense"] * 3
    assert {"import", "build"} <= set(found["seconds"])
    assert "net_run" in (tmp_path / "net.h").read_text()
    assert list((tmp_path / "stages").iterdir())


def test_compile_fails_before_the_work_where_it_can(made, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("sparsecc.cli.compile.load_compiler", lambda **_: pytest.fail("began the work"))
    for output, text in (("model.dll", "suffix '.dll'"), ("none/model.so", "folder does not exist")):
        code, said = fails(capsys, "compile", made.model, "-o", tmp_path / output)
        assert code == 2
        assert text in said
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--target", "z80"], "found 'z80', expected one of"),
        (["--keep-dense", "tail"], "no layer is called 'tail'"),
        (["--min-speedup", "0"], "min_speedup"),
        (["--name", "1st"], "C identifier"),
        (["--threads", "0"], "threads"),
        (["--tolerance", "7"], "tolerance between 0 and 1"),
        (["--cc", "no-such-compiler"], "no-such-compiler"),
    ],
)
def test_wrong_options_of_compile(arguments, text, made, tmp_path, capsys):
    code, said = fails(capsys, "compile", made.model, "-o", tmp_path / "m.so", *arguments)
    assert code == 2
    assert text in said
    assert list(tmp_path.iterdir()) == []


def test_a_result_that_differs_is_our_bug(made, tmp_path, capsys):
    code, said = fails(capsys, "compile", made.model, "-o", tmp_path / "m.so", "--tolerance", "1e-30")
    assert code == 4
    assert "differs from PyTorch" in said
    assert "--tolerance" in said
    assert not (tmp_path / "m.so").exists()


def test_an_operator_that_is_not_supported(tmp_path, capsys):
    class Sorting(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.linalg.svd(x)[1]

    torch.export.save(torch.export.export(Sorting(), (torch.randn(4, 4),)), tmp_path / "m.pt2")
    code, said = fails(capsys, "compile", tmp_path / "m.pt2", "-o", tmp_path / "m.so")
    assert code == 3
    assert "not supported" in said


@pytest.mark.parametrize("name", ["compile", "inspect"])
def test_without_the_compiler_installed(name, made, tmp_path):
    done = command(name, made.model, *(["-o", tmp_path / "m.so"] if name == "compile" else []), alone=True)
    assert done.returncode == 2
    assert "pip install '.[compiler]'" in done.stderr


# --- inspect ---------------------------------------------------------------------------------------------------------


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
    monkeypatch.setattr("sparsecc.runtime.image._dlopen", lambda *_: pytest.fail("loaded"))
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


# --- run -------------------------------------------------------------------------------------------------------------


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


# --- bench -----------------------------------------------------------------------------------------------------------


def test_bench_without_the_compiler(made):
    done = command("bench", made.library, "--runs", 5, "--threads", 1, "--layers", alone=True)
    assert done.returncode == 0
    assert "body" in done.stdout
    assert "sum of" in done.stdout
    assert "1 thread, 5 runs" in done.stdout
    assert "time layers" in done.stderr


def test_bench_as_json(made, capsys):
    found = document(capsys, "bench", made.library, "--threads", 2, "--sort")
    assert (found["threads"], found["target"]) == (2, sparsecc.load(made.library).target)
    assert found["runs"] >= 10
    assert 0 < found["min_s"] <= found["p10_s"] <= found["median_s"] <= found["p90_s"]
    times = [step["median_s"] for step in found["layers"]]
    assert times == sorted(times, reverse=True)
    assert sum(step["share"] for step in found["layers"]) == pytest.approx(1)
    assert {"stem", "body", "head"} <= {step["name"] for step in found["layers"]}
    assert "layers" not in document(capsys, "bench", made.library, "--runs", 1)


@pytest.mark.parametrize("option", [["--runs", 0], ["--threads", -1]])
def test_bench_with_bad_numbers(option, made, capsys):
    assert fails(capsys, "bench", made.library, *option)[0] == 2


def test_ctrl_c(made):
    process = subprocess.Popen(
        [sys.executable, "-m", "sparsecc", "bench", made.library, "--runs", "1000000000"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT,
        # a shell lets what it starts in the background ignore Ctrl-C, and its children inherit that
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip
    try:
        assert "time runs" in process.stderr.readline()
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
    finally:
        process.kill()
    assert (process.returncode, out, err) == (130, "", "interrupted\n")


# --- targets ---------------------------------------------------------------------------------------------------------


def test_targets(capsys):
    assert main(["targets"]) == 0
    said = capsys.readouterr().out
    found = document(capsys, "targets")
    assert all(entry["name"] in said for entry in found["targets"])
    assert {"x86-64-v3", "x86-64-v4"} <= {entry["name"] for entry in found["targets"]}
    assert f"{found['native']}  native" in said


def test_targets_on_another_machine(capsys, monkeypatch):
    monkeypatch.setattr("sparsecc.target.platform.machine", lambda: "riscv64")
    found = document(capsys, "targets")
    assert found["native"] is None
    assert not any(entry["runs_here"] for entry in found["targets"])
    assert main(["targets"]) == 0


# --- failures --------------------------------------------------------------------------------------------------------


def raising(error: BaseException):
    def execute(options: object) -> int:
        raise error

    return execute


@pytest.mark.parametrize(
    ("error", "code", "text"),
    [
        (UserError("wrong [bold]file[/bold] :smile:"), 2, "error: wrong [bold]file[/bold] :smile:\n"),
        (LibraryError("damaged"), 2, "error: damaged\n"),
        (NotSupportedError("no such operator"), 3, "error: no such operator\n"),
        (InternalError("odd"), 4, "error: odd\n--traceback shows where it happened\n"),
        (KeyError("x"), 1, "error: unexpected KeyError: 'x'\n--traceback shows where it happened\n"),
        (KeyboardInterrupt(), 130, "interrupted\n"),
    ],
)
def test_exit_codes(error, code, text, capsys):
    assert guard(raising(error), None) == code
    assert capsys.readouterr() == ("", text)


def test_traceback_on_demand(capsys, monkeypatch):
    assert guard(raising(UserError("wrong")), None, traceback=True) == 2
    assert "in execute" in capsys.readouterr().err
    for value, wanted in (("1", True), ("0", False), ("", False)):
        monkeypatch.setenv("SPARSECC_TRACEBACK", value)
        guard(raising(UserError("wrong")), None)
        assert ("Traceback" in capsys.readouterr().err) is wanted


def test_traceback_option(tmp_path, capsys):
    assert main(["inspect", str(tmp_path / "m.so"), "--traceback"]) == 2
    assert "Traceback" in capsys.readouterr().err


def test_a_reader_that_has_seen_enough(made):
    process = subprocess.Popen(
        [sys.executable, "-m", "sparsecc", "inspect", made.library],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT,
    )  # fmt: skip
    process.stdout.close()
    assert process.stderr.read() == b""
    assert process.wait(30) == 141


# --- parts -----------------------------------------------------------------------------------------------------------


def printed(columns, rows, *, width: int) -> list[str]:
    console = Console(width=width, markup=False)
    with console.capture() as capture:
        print_table(console, columns, rows)
    return capture.get().splitlines()


def test_table_drops_columns_then_cuts_names():
    columns = [Column("name", left=True), Column("first", drop=2), Column("kept"), Column("later", drop=1)]
    rows = [("features.block4.layer16.conv2", "1", "22", "3"), ("a", "1", "2", "3")]
    assert printed(columns, rows, width=100)[0].split() == ["name", "first", "kept", "later"]
    assert printed(columns, rows, width=45)[0].split() == ["name", "kept", "later"]
    narrow = printed(columns, rows, width=20)
    assert narrow[0].split() == ["name", "kept"]
    assert narrow[1:] == ["-" * 20, "featur...conv2    22", "a                  2"]


def begin_and_fail(stages: Stages) -> None:
    stages("import")
    raise KeyError


def test_stages_on_a_terminal():
    console = Console(force_terminal=True, width=80, file=open(os.devnull, "w"))  # noqa: SIM115
    with Stages(console) as stages:
        stages("import")
        stages("build")
    assert list(stages.seconds) == ["import", "build"]
    stages = Stages(console)
    with pytest.raises(KeyError), stages:
        begin_and_fail(stages)
    assert stages.seconds == {}


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (short(0), "0"),
        (short(999), "999"),
        (short(1234), "1.23 k"),
        (short(5e13), "50000 G"),
        (in_bytes(12), "12 B"),
        (in_bytes(1.68e6), "1.68 MB"),
        (in_ms(1.5e-6), "0.0015"),
        (in_ms(0.01234), "12.34"),
        (in_ms(2.5), "2500"),
        (shape_text((1, 3, 8)), "1x3x8"),
        (shape_text(()), "scalar"),
    ],
)
def test_units(found, expected):
    assert found == expected


def test_c_example(made, tmp_path):
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler")
    source, program, folder = ROOT / "examples" / "c" / "main.c", tmp_path / "main", made.library.parent
    strict = ["-std=c99", "-Wall", "-Wextra", "-Wpedantic", "-Werror"]
    link = [f"-I{folder}", f"-L{folder}", "-l:model.so", f"-Wl,-rpath,{folder}"]
    subprocess.run([compiler, *strict, source, *link, "-o", program], check=True)
    lines = subprocess.run([program], check=True, capture_output=True, text=True).stdout.splitlines()
    ramps = [np.linspace(-1, 1, np.prod(shape), dtype="float32").reshape(shape) for shape in SHAPES]
    first, second = sparsecc.load(made.library)(*ramps)
    assert lines[1].startswith("output_0 (5 values): ")
    np.testing.assert_allclose([float(v) for v in lines[1].partition(": ")[2].split()], first.ravel(), rtol=1e-4)
    assert lines[2].startswith(f"output_1 ({second.size} values): ")
    assert lines[2].endswith(" ...")


def test_commands_do_not_import_the_compiler():
    code = "import sys; import sparsecc.cli; sys.exit(bool({'torch', 'tvm'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0
