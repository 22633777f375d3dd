"""Reports to make pages of, and pages taken apart by the parser of the standard library."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np

from sparsecc.analyse.plan import LayerInfo, make_plan
from sparsecc.ir.conv import ConvSpec
from sparsecc.report import Report

#: elements without an end
_VOID = {"meta", "img", "input", "link", "br"}
#: what fetches something, by itself or when it is clicked
_FETCHING = ("src", "href", "action", "data", "srcset", "poster")


def report_of(names: list[str], *, density: float = 0.25, target: str = "x86-64-v3") -> Report:
    """Layers of these names with 1x4 blocks, the first of them dense; one kernel each."""
    rng = np.random.default_rng(0)
    infos = []
    for i, name in enumerate(names):
        kept = np.ones((8, 32), np.bool_) if i == 0 else rng.random((8, 32)) < density
        weight = np.where(np.repeat(kept, 4, axis=0), rng.uniform(0.5, 1, (32, 32)), 0)[:, :, None, None]
        spec = ConvSpec(n=1, ic=32, ih=14, iw=14, oc=32)
        infos.append(LayerInfo(f"layer_{i}", name, spec, weight.astype(np.float32)))
    plan = make_plan(infos)
    steps = [step(info.key, cycles=3500.0 * (i + 1)) for i, info in enumerate(infos)]
    steps.append(step("pool", kind="window", cycles=700.0))
    return Report(plan, tuple(steps), target, ("a note",), 1e-7, macs_per_cycle=16, ghz=3.5, memory_bytes=5000)


def step(key: str, *, kind: str = "direct", cycles: float = 0.0, joined: tuple[str, ...] = ()) -> dict[str, Any]:
    """A kernel call of a report."""
    return {
        "key": key, "kind": kind, "config": {"lanes": 8, "packed": True}, "chosen_by": "cost model", "chosen_from": "",
        "cycles": cycles, "expected": cycles, "joined": list(joined), "joined_by": "", "joined_from": "",
    }  # fmt: skip


@dataclass
class Page(HTMLParser):
    """What is in a page: elements with their attributes, cells of rows as text, and what was wrong."""

    text: str
    elements: list[tuple[str, dict[str, str | None]]] = field(default_factory=list)
    rows: list[list[str]] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    titles: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        HTMLParser.__init__(self)
        self._open: list[str] = []
        self.feed(self.text)
        self.close()
        self.faults += [f"not closed: {tag}" for tag in self._open]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in _VOID:
            self._open.append(tag)
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")
        elif tag in ("h1", "h2"):
            self.titles.append("")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        found = self._open.pop() if self._open else "nothing"
        if found != tag:
            self.faults.append(f"</{tag}> closes {found}")

    def handle_data(self, data: str) -> None:
        if {"td", "th"} & set(self._open):
            self.rows[-1][-1] += data
        if {"h1", "h2"} & set(self._open):
            self.titles[-1] += data

    @property
    def fetched(self) -> list[str]:
        """What the page would load from elsewhere."""
        urls = [str(attrs[name]) for _, attrs in self.elements for name in _FETCHING if attrs.get(name)]
        return [url for url in urls if not url.startswith(("#", "data:image/png;base64,"))]

    @property
    def ids(self) -> list[str]:
        """All of them."""
        return [str(attrs["id"]) for _, attrs in self.elements if "id" in attrs]


def page_of(path: Path) -> Page:
    """Parse a page that has no faults."""
    page = Page(path.read_text())
    assert page.faults == []
    assert page.fetched == []
    assert len(set(page.ids)) == len(page.ids)
    return page
