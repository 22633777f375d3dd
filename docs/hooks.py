"""What the site has that the pages have not: notebooks, links out of ``docs/``, and the command line's help."""

from __future__ import annotations

import argparse
import json
import re
from pathlib import Path, PurePosixPath
from typing import Any

from mkdocs.structure.files import File

from sparsecc.cli.parser import make_parser

_COMMANDS = "<!-- commands -->"
#: a page outside of the site -> the one that has what it says
_OUTSIDE = {"../README.md": "index.md", "../CONTRIBUTING.md": "architecture.md"}
_NOTEBOOKS = Path(__file__).parent.parent / "examples" / "notebooks"


def on_files(files: Any, *, config: Any) -> Any:
    """Make a page of each notebook."""
    for path in sorted(_NOTEBOOKS.glob("*.ipynb")):
        files.append(File.generated(config, f"notebooks/{path.stem}.md", content=as_page(path.read_text())))
    return files


def as_page(notebook: str) -> str:
    """A notebook's cells as Markdown."""
    cells = [(cell["cell_type"], "".join(cell["source"])) for cell in json.loads(notebook)["cells"]]
    return "\n\n".join(text if kind == "markdown" else f"```python\n{text}\n```" for kind, text in cells)


def on_page_markdown(markdown: str, *, page: Any, **_: Any) -> str:
    """Fill in the commands' help, and lead links to files beside ``docs/`` to pages of the site."""
    if _COMMANDS in markdown:
        markdown = markdown.replace(_COMMANDS, commands())
    depth = len(PurePosixPath(page.file.src_uri).parents) - 1
    return re.sub(r"\]\(((?:\.\./)+[\w./-]+)(#[\w-]+)?\)", lambda link: _inside(link, depth), markdown)


def _inside(link: re.Match[str], depth: int) -> str:
    beyond = link[1].removeprefix("../" * depth)
    if not beyond.startswith("../"):
        return link[0]
    if beyond.endswith(".ipynb"):
        return f"]({'../' * depth}notebooks/{PurePosixPath(beyond).stem}.md)"
    return f"]({'../' * depth}{_OUTSIDE[beyond]})"


def commands() -> str:
    """The help of every command, as Markdown."""
    (subparsers,) = (a for a in make_parser()._actions if isinstance(a, argparse._SubParsersAction))
    sections = []
    for name, parser in subparsers.choices.items():
        parser.formatter_class = _wide(parser.formatter_class)
        sections.append(f"## {name}\n\n```text\n{parser.format_help().rstrip()}\n```")
    return "\n\n".join(sections)


def _wide(base: Any) -> Any:
    """As wide as a page, whatever the terminal is."""

    class Wide(base):  # type: ignore[misc]
        def __init__(self, prog: str) -> None:
            super().__init__(prog, width=78)

    return Wide
