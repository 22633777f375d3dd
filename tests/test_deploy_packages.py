"""The deploy folder as a package of CMake and of pkg-config."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from tuning_case import program

from sparsecc.runtime import read_description

PROJECT = """
cmake_minimum_required(VERSION 3.13)
project(app C)
{lines}
foreach(kind {kinds})
  add_executable(app_${{kind}} "{folder}/example.c")
  target_link_libraries(app_${{kind}} PRIVATE model::${{kind}})
endforeach()
"""


@pytest.fixture(scope="module")
def folder(tiny_folder) -> Path:
    """The tiny network for this machine."""
    return tiny_folder("x86-64-v3")


@pytest.fixture(scope="module")
def expected(folder: Path) -> str:
    """What the example prints, linked by hand."""
    made = folder.parent / "by-hand"
    words = [program("gcc"), "example.c", "model.a", "-lm", "-lpthread", "-o", str(made)]
    subprocess.run(words, cwd=folder, check=True)
    return run(made)


def run(made: Path) -> str:
    return subprocess.run([made], capture_output=True, text=True, check=True).stdout


def cmake(*words: object) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).with_name("cmake")), *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, env={**os.environ, "CC": program("gcc")})


def configured(folder: Path, where: Path, lines: str, *, kinds: str) -> subprocess.CompletedProcess[str]:
    where.mkdir(exist_ok=True)
    (where / "CMakeLists.txt").write_text(PROJECT.format(lines=lines, kinds=kinds, folder=folder))
    return cmake("-S", where, "-B", where / "build", f"-DCMAKE_PREFIX_PATH={folder}")


def test_find_package(folder, expected, tmp_path):
    """Static and shared; a version and a build to ask for."""
    lines = 'find_package(model CONFIG REQUIRED)\nmessage(STATUS "found ${model_VERSION} ${model_BUILD}")'
    done = configured(folder, tmp_path, lines, kinds="model shared")
    assert done.returncode == 0, done.stderr
    told = read_description(folder / "model.so")
    assert f"found {told['version']} {told['build']}" in done.stdout
    done = cmake("--build", tmp_path / "build")
    assert done.returncode == 0, done.stderr
    assert run(tmp_path / "build" / "app_model") == run(tmp_path / "build" / "app_shared") == expected


def test_add_subdirectory(folder, expected, tmp_path):
    """Builds no examples unless it is asked to."""
    lines = f'add_subdirectory("{folder}" net)'
    assert configured(folder, tmp_path, lines, kinds="model").returncode == 0
    assert cmake("--build", tmp_path / "build").returncode == 0
    assert run(tmp_path / "build" / "app_model") == expected
    assert not list(tmp_path.glob("build/net/model_example*"))
    assert configured(folder, tmp_path, f"set(model_EXAMPLES ON)\n{lines}", kinds="model").returncode == 0
    assert "model_example_c" in cmake("--build", tmp_path / "build", "--target", "help").stdout


def test_two_packages_of_one_name(folder, tmp_path):
    """CMake stops, rather than taking the first for both."""
    copy = tmp_path / "copy"
    copy.mkdir()
    text = (folder / "model-config.cmake").read_text()
    build = read_description(folder / "model.so")["build"]
    (copy / "model-config.cmake").write_text(text.replace(build, "0" * len(build)))
    lines = f'include("{folder}/model-config.cmake")\ninclude("{copy}/model-config.cmake")'
    done = configured(folder, tmp_path / "two", lines, kinds="model")
    assert done.returncode != 0
    assert "two networks are called model" in " ".join(done.stderr.split())


def test_pkg_config(folder, expected, tmp_path):
    command = [program("pkg-config"), "--cflags", "--libs", "model"]
    environment = {**os.environ, "PKG_CONFIG_PATH": str(folder)}
    flags = subprocess.run(command, capture_output=True, text=True, env=environment, check=True).stdout
    words = [program("gcc"), str(folder / "example.c"), *shlex.split(flags), "-o", str(tmp_path / "app")]
    subprocess.run(words, check=True)
    assert run(tmp_path / "app") == expected


def test_what_the_folder_calls_its_machine(folder, tiny_folder):
    """A server is no board; the build is the library's; bytes are counted as the report counts them."""
    readme = (folder / "README.md").read_text()
    told = read_description(folder / "model.so")
    assert "board" not in readme
    assert f"* Build: {told['build']}" in readme
    assert "* Network: " not in readme  # an exported program has no name
    assert "then on the board:" in (tiny_folder("rpi4") / "README.md").read_text()
