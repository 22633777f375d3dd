"""The documentation as a site: every page is in it, links lead somewhere, names of the reference exist."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

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
    assert named == pages
    assert all((site / f"{page}.html").exists() for page in pages)


def test_the_reference_has_what_it_names(site: Path) -> None:
    python = (site / "reference" / "python.html").read_text()
    assert all(f'id="sparsecc.{name}"' in python for name in ("compiled.compile", "runtime.library.Library.profile"))
    commands = (site / "reference" / "commands.html").read_text()
    assert all(f'<h2 id="{name}">' in commands for name in ("compile", "inspect", "tune", "advise"))
    assert "--schedules" in commands


def test_pages_load_nothing_from_elsewhere(site: Path) -> None:
    loaded = re.compile(
        r'<(?:script|img)[^>]*\ssrc="(?:https?:)?//|<link[^>]*rel="stylesheet"[^>]*href="(?:https?:)?//'
    )
    assert [path.name for path in site.rglob("*.html") if loaded.search(path.read_text())] == []
