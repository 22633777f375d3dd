"""The pages of the documentation, the blocks of code in them, and the commands in these."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
#: what people read, the pages that a deploy folder is written from included
PAGES = tuple(
    sorted(
        [
            *ROOT.glob("*.md"),
            *(path for folder in ("docs", "examples", "schedules") for path in ROOT.glob(f"{folder}/**/*.md")),
            *(ROOT / "bench").glob("*.md"),  # below it the rivals' environments bring pages of their own
            *(ROOT / "sparsecc").glob("**/*.md.in"),
        ]
    )
)
#: what words of a command end at
_OPERATORS = {"&&", "||", ";", "|", ">", "&"}


def name_of(page: Path) -> str:
    """The page's path from the root."""
    return page.relative_to(ROOT).as_posix()


@dataclass(frozen=True)
class Block:
    """A piece of code of a page: its language, as written behind the fence, and its text."""

    page: str
    language: str
    text: str


def blocks_of(page: Path) -> list[Block]:
    """All of a page's, in order; indented ones, drawings, as text.

    Raises
    ------
    AssertionError
        A fence is indented or never closed, so that a part of the page would be taken for what it is not.
    """
    text = page.read_text()
    found = re.findall(r"^```(\S*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    fences = len(re.findall(r"^\s*(?:```|~~~)", text, re.MULTILINE))
    assert fences == 2 * len(found), f"{name_of(page)}: a fence is indented or has no end"
    drawn = re.findall(r"(?<=\n\n)(?: {4,}\S.*\n+)+", without_fenced(text))
    return [Block(name_of(page), *parts) for parts in [*found, *(("text", drawing.lstrip()) for drawing in drawn)]]


def all_blocks(*languages: str) -> list[Block]:
    """Blocks of all pages, of some languages."""
    return [block for page in PAGES for block in blocks_of(page) if block.language in languages]


def lines_of(block: Block) -> list[str]:
    """Commands of a shell block as written, one a line: continued lines joined, comments and empty ones left out."""
    joined = block.text.replace("\\\n", " ")
    return [line for line in map(_without_comment, joined.splitlines()) if line]


def _without_comment(line: str) -> str:
    return re.sub(r"(^|\s+)# .*$", "", line).strip()


def without_fenced(text: str) -> str:
    """A page's text without its blocks."""
    return re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)


def spans_of(page: Path) -> list[str]:
    """Short pieces of code within the text, line breaks as spaces."""
    return [" ".join(span.split()) for span in re.findall(r"`([^`]+)`", without_fenced(page.read_text()))]


def commands_of(line: str) -> Iterator[list[str]]:
    """Words of every program that a line calls, without variables that are set for it."""
    words: list[str] = []
    lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    for word in [*lexer, ";"]:
        if word not in _OPERATORS:
            words.append(word)
            continue
        while words and re.match(r"\w+=", words[0]):
            words = words[1:]
        if words:
            yield words
        words = []
