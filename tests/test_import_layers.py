"""Which part of the package may import which: the architecture, held against the imports that the sources have."""

from __future__ import annotations

import ast
import sys
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest
from layers import EXCEPTIONS, LAYERS, LAZY, OUTSIDE

PACKAGE = Path(__file__).parent.parent / "sparsecc"
MAX_LINES = 300


@dataclass(frozen=True)
class Import:
    """One imported module; ``lazy`` inside a function."""

    file: str
    module: str
    lazy: bool

    @property
    def layer(self) -> str:
        return layer_of(self.file.removesuffix(".py").split("/"))

    @property
    def top(self) -> str:
        return self.module.split(".")[0]

    @property
    def ours(self) -> str:
        """The layer that the module belongs to."""
        parts = self.module.split(".")
        return layer_of(parts[1:]) if len(parts) > 1 else "__init__"


def layer_of(parts: Sequence[str]) -> str:
    """The layer that a module belongs to: the folder in a folder where the table names it, else the outer one."""
    inner = "/".join(parts[:2])
    return inner if inner in LAYERS else parts[0]


def source_files() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def imports_in(tree: ast.AST, *, file: str, lazy: bool = False) -> Iterator[Import]:
    """Every import below ``tree``; those for type checkers only are left out."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import):
            yield from (Import(file, alias.name, lazy) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (Import(file, module, lazy) for module in _modules(node))
        elif not (isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"):
            function = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            yield from imports_in(node, file=file, lazy=lazy or function)


def _modules(node: ast.ImportFrom) -> list[str]:
    """``from sparsecc import errors`` means the module ``sparsecc.errors``; a relative import starts with a dot."""
    module = "." * node.level + (node.module or "")
    if module != PACKAGE.name:
        return [module]
    parts = {path.stem for path in PACKAGE.iterdir()}
    return [f"{module}.{alias.name}" if alias.name in parts else module for alias in node.names]


def all_imports() -> list[Import]:
    return [
        found
        for path in source_files()
        for found in imports_in(ast.parse(path.read_text()), file=path.relative_to(PACKAGE).as_posix())
    ]


def is_allowed(found: Import) -> bool:
    """Whether the tables allow an import."""
    if found.top == PACKAGE.name:
        allowed = LAYERS.get(found.layer, set()) | (LAZY.get(found.layer, set()) if found.lazy else set())
        return found.ours == found.layer or found.ours in allowed
    if found.top in OUTSIDE:
        return found.file.startswith(OUTSIDE[found.top])
    return found.top in sys.stdlib_module_names


def test_imports_follow_the_layers():
    broken = {(f.file, f.module) for f in all_imports() if not is_allowed(f)}
    assert broken - set(EXCEPTIONS) == set()


def test_exceptions_are_still_needed():
    broken = {(f.file, f.module) for f in all_imports() if not is_allowed(f)}
    assert set(EXCEPTIONS) - broken == set()


def test_every_part_of_the_package_is_in_the_table():
    parts = {path.relative_to(PACKAGE).parts[0].removesuffix(".py") for path in source_files()}
    assert parts - set(LAYERS) == set()
    assert all((PACKAGE / layer).is_dir() for layer in LAYERS if "/" in layer)


def test_the_package_has_fewer_folders_than_a_screen_has_lines():
    assert len([path for path in PACKAGE.iterdir() if (path / "__init__.py").exists()]) < 18


def modules() -> dict[str, str]:
    """Module -> its file in the package."""
    files = [path.relative_to(PACKAGE).as_posix() for path in source_files()]
    names = [f"{PACKAGE.name}/{file}".removesuffix(".py").removesuffix("/__init__") for file in files]
    return {name.replace("/", "."): file for name, file in zip(names, files, strict=True)}


def named_in(tree: ast.AST, known: Container[str]) -> Iterator[str]:
    """Those of the known modules that a file imports, in functions too; those for type checkers only are left out.

    What runs counts, whenever it does: an import in a function is how a circle is hidden, not how it is taken apart.
    What only a type checker reads is no use of the other file.
    """
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in known)
        elif isinstance(node, ast.ImportFrom):
            named = {f"{node.module}.{alias.name}" for alias in node.names}
            yield from {name if name in known else node.module or "" for name in named}
        elif not (isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"):
            yield from named_in(node, known)


def circles(imports: Mapping[str, set[str]]) -> list[tuple[str, ...]]:
    """A circle of imports, the first file again at its end; empty where there is none."""
    try:
        TopologicalSorter(imports).prepare()
    except CycleError as error:
        return [tuple(error.args[1])]
    return []


def test_no_files_import_each_other_in_a_circle():
    known = modules()
    imports = {
        name: {other for other in named_in(ast.parse((PACKAGE / file).read_text()), known) if other in known}
        for name, file in known.items()
    }
    assert circles(imports) == []


def test_a_circle_is_seen():
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}})
    assert circles({"a": {"b", "c"}, "b": {"c"}, "c": set()}) == []
    hidden = "def f():\n    from sparsecc.advice import table\nif TYPE_CHECKING:\n    import sparsecc.compiled"
    assert list(named_in(ast.parse(hidden), modules())) == ["sparsecc.advice.table"]
    whole = "from sparsecc.build import plan_memory, check\nimport sparsecc.text"
    assert sorted(named_in(ast.parse(whole), modules())) == ["sparsecc.build", "sparsecc.build.check", "sparsecc.text"]


def test_layers_only_use_those_above_them():
    names = list(LAYERS)
    upwards = {(name, used) for i, name in enumerate(names) for used in LAYERS[name] if used not in names[:i]}
    assert upwards == set()


@pytest.mark.parametrize(
    ("file", "source", "allowed"),
    [
        ("ir/conv.py", "import numpy", True),
        ("ir/conv.py", "from sparsecc.runtime import load", False),
        ("ir/conv.py", "from sparsecc import runtime", False),
        ("ir/conv.py", "from .blocks import to_blocks", False),
        ("runtime/library.py", "import torch", False),
        ("runtime/library.py", "from sparsecc.report import Report", False),
        ("runtime/library.py", "def f():\n    from sparsecc.report import Report", True),
        ("runtime/library.py", "if TYPE_CHECKING:\n    from sparsecc.report import Report", True),
        ("kernels/direct.py", "from tvm import te", False),
        ("build/link.py", "import ziglang", False),
    ],
)
def test_the_check_itself(file, source, allowed):
    assert all(map(is_allowed, imports_in(ast.parse(source), file=file))) is allowed


def test_only_the_command_line_prints():
    printing = [
        f"{path.relative_to(PACKAGE)}:{node.lineno}"
        for path in source_files()
        if path.relative_to(PACKAGE).parts[0] != "cli"
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
    ]
    assert printing == []


def test_every_file_says_what_it_is():
    silent = [str(path.relative_to(PACKAGE)) for path in source_files() if not ast.get_docstring(_parsed(path))]
    assert silent == []


def _parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


@pytest.mark.parametrize("path", sorted((PACKAGE / "kernels").glob("*_schedule.py")), ids=lambda path: path.stem)
def test_threads_are_written_in_kernels(path):
    """Their schedules have vectors, unrolled loops and starts of sums."""
    tree = ast.parse(path.read_text())
    used = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    assert used & {"vectorize", "unroll"} or "schedule_tiles" in path.read_text()
    assert used.isdisjoint({"parallel", "bind"})


def test_files_stay_short():
    files = [*source_files(), *(PACKAGE / "build" / "csrc").iterdir()]
    lengths = {str(path.relative_to(PACKAGE)): len(path.read_text().splitlines()) for path in files}
    assert {file: lines for file, lines in lengths.items() if lines > MAX_LINES} == {}
