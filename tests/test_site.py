"""The documentation as a site: every page is in it, links lead somewhere, names of the reference exist."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from patience import PATIENCE_S

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built strictly: what the generator would warn of is an error."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--quiet", "--site-dir", str(folder)]
    environment = os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE_S, env=environment
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    return folder


def test_every_page_is_in_the_navigation(site: Path) -> None:
    named = set(re.findall(r": ([\w/-]+)\.md$", (ROOT / "mkdocs.yml").read_text(), re.MULTILINE))
    pages = {path.relative_to(ROOT / "docs").with_suffix("").as_posix() for path in (ROOT / "docs").rglob("*.md")}
    pages |= {f"notebooks/{path.stem}" for path in (ROOT / "examples" / "notebooks").glob("*.ipynb")}
    assert named == pages
    assert all((site / f"{page}.html").exists() for page in pages)


def test_the_reference_has_what_it_names(site: Path) -> None:
    python = (site / "reference" / "python.html").read_text()
    assert all(f'id="sparsecc.{name}"' in python for name in ("compiled.compile", "runtime.library.Library.profile"))
    commands = (site / "reference" / "commands.html").read_text()
    assert all(f'<h2 id="{name}">' in commands for name in ("compile", "inspect", "tune", "advise"))
    assert "--schedules" in commands


class Links(HTMLParser):
    """Where a page's links lead, and what can be led to in it."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.names: set[str] = {""}
        self.targets: list[str] = []
        self.feed(page.read_text())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.names.add(given.get("id") or "")
        target = given.get("href" if tag in ("a", "link") else "src")
        if target and not urlsplit(target).scheme:
            self.targets.append(target)


def test_links_lead_to_pages_and_headings(site: Path) -> None:
    """Those of the theme and of the reference, too."""
    pages = {page: Links(page) for page in site.rglob("*.html") if page.name != "404.html"}  # served at any depth
    dead = []
    for page, links in pages.items():
        for target in links.targets:
            path, anchor = urlsplit(target).path, unquote(urlsplit(target).fragment)
            led = (page.parent / unquote(path)).resolve() if path else page
            led = led / "index.html" if led.is_dir() else led
            if not led.is_file() or (led in pages and anchor not in pages[led].names):
                dead.append(f"{page.relative_to(site)}: {target}")
    assert len(pages) > 25
    assert dead == []


def test_pages_load_nothing_from_elsewhere(site: Path) -> None:
    loaded = re.compile(
        r'<(?:script|img)[^>]*\ssrc="(?:https?:)?//|<link[^>]*rel="stylesheet"[^>]*href="(?:https?:)?//'
    )
    assert [path.name for path in site.rglob("*.html") if loaded.search(path.read_text())] == []
