"""What a C header says of its network, what a call refuses, and two networks in one program."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import kernels_c
import numpy as np
import pytest
from patience import PATIENCE_S

from sparsecc.build import header_of, plan_memory
from sparsecc.ir.program import Port, Program
from sparsecc.runtime import load, read_description

ZIG = (sys.executable, "-m", "ziglang", "cc", "-target", "x86_64-linux-gnu.2.28", "-std=c11", "-Wall", "-Werror")

#: how a test calls the two headers
FOLDERS = ("first", "second")


def other(program: Program) -> Program:
    """The same network with other weights."""
    return replace(program, weights=tuple(3 * weight for weight in program.weights))


def write(program: Program, folder: Path, *, static: bool) -> None:
    """Library and header."""
    folder.mkdir()
    kernels_c.link(program, folder / f"{program.name}{'.a' if static else '.so'}", static=static)
    header = header_of(program, memory=plan_memory(program), triple=kernels_c.TRIPLE)
    (folder / f"{program.name}.h").write_text(header)


def compiled(folder: Path, *words: str, **sources: str) -> subprocess.CompletedProcess[str]:
    """Compile a C program of some files; its name is ``app``."""
    for name, text in sources.items():
        (folder / f"{name}.c").write_text(text)
    files = [f"{name}.c" for name in sources]
    command = (*ZIG, *files, *words, "-o", "app", "-lm", "-lpthread")
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=PATIENCE_S)


MISTAKES = """
#include <stdio.h>
#include <string.h>
#include "pair.h"

_Static_assert(PAIR_NUM_INPUTS == 2 && PAIR_NUM_OUTPUTS == 2, "ports");
_Static_assert(PAIR_INPUT_1_COUNT == 105 && PAIR_OUTPUT_0_BYTES == 420, "sizes");
_Static_assert(PAIR_WEIGHT_BYTES == 128 && PAIR_ARENA_BYTES >= 1000, "memory");
static float a[PAIR_INPUT_0_COUNT + 1], b[PAIR_INPUT_1_COUNT], c[2 * PAIR_OUTPUT_0_COUNT], d[PAIR_OUTPUT_1_COUNT];

static void call(pair_t *net, const void *x, const void *y, void *z, void *w) {
  const void *inputs[] = {x, y};
  void *outputs[] = {z, w};
  int code = pair_run(net, inputs, outputs);
  printf("%d %s\\n", code, code ? pair_last_error() : "");
}

int main(void) {
  pair_t *net;
  if (pair_create(&net) || !strstr(pair_describe(), PAIR_BUILD_ID) || strcmp(pair_version(), PAIR_SPARSECC_VERSION))
    return 1;
  static const char *const classes[] = {PAIR_META_CLASSES};
  printf("%s %d %s\\n", PAIR_META_MODEL_VERSION, PAIR_META_CLASSES_COUNT, classes[1]);
  call(net, a, b, c, d);
  call(net, a, a, c, c + PAIR_OUTPUT_0_COUNT);
  call(net, (char *)a + 2, b, c, d);
  call(net, a, b, c, (char *)d + 1);
  call(net, a, b, c, c + PAIR_OUTPUT_0_COUNT - 1);
  call(net, a, b, b, d);
  call(net, a, b, c, a + 104);
  call(net, a, NULL, c, d);
  pair_destroy(net);
  return 0;
}
"""


def test_constants_and_what_a_call_refuses(tmp_path: Path) -> None:
    """Sizes are there when a program is compiled; pointers that the header forbids are an error, not a result."""
    program = kernels_c.two_ports()
    said = {"model_version": '3 "beta" */', "classes": ["cat", "dog\\"]}
    program = replace(program, description={**program.description, "meta": said})
    write(program, tmp_path / "first", static=True)
    done = compiled(tmp_path, "-Ifirst", "first/pair.a", app=MISTAKES)
    assert done.returncode == 0, done.stderr
    lines = subprocess.run([tmp_path / "app"], capture_output=True, text=True, check=True).stdout.splitlines()
    assert lines == [
        '3 "beta" */ 2 dog\\',
        "0 ",
        "0 ",
        "1 pair: input 0 (a) is not aligned for its type",
        "1 pair: output 1 (d) is not aligned for its type",
        "1 pair: output 1 (d) overlaps an input or another output",
        "1 pair: output 0 (c) overlaps an input or another output",
        "1 pair: output 1 (d) overlaps an input or another output",
        "1 pair: input 1 (b) is NULL",
    ]


def test_a_port_whose_name_is_a_constants(tmp_path: Path) -> None:
    """It has no index by its name."""
    program = replace(kernels_c.tiny(), inputs=(Port("0_COUNT", kernels_c.SHAPE),))
    header = header_of(program, memory=plan_memory(program), triple=kernels_c.TRIPLE)
    assert header.count("#define TINY_INPUT_0_COUNT") == 1
    assert "#define TINY_INPUT_0_COUNT 105\n" in header


USE = (
    '#include "{folder}/{name}.h"\n'
    "float {folder}(void) {{\n"
    "  static float x[105], y[105];\n"
    "  const void *in[] = {{x}};\n"
    "  void *out[] = {{y}};\n"
    "  {name}_t *net;\n"
    "  for (int i = 0; i < 105; ++i) x[i] = 1;\n"
    "  if ({name}_create(&net) || {name}_run(net, in, out)) return -1;\n"
    "  {name}_destroy(net);\n"
    "  return y[0];\n"
    "}}\n"
)
MAIN = """
#include <stdio.h>
float first(void), second(void);
int main(void) { printf("%g %g\\n", first(), second()); return 0; }
"""


def link_words(name: str, folder: str, *, static: bool) -> list[str]:
    return [f"{folder}/{name}.a"] if static else [f"-L{folder}", f"-l:{name}.so", f"-Wl,-rpath,$ORIGIN/{folder}"]


def test_two_shared_networks_in_one_program(tmp_path: Path) -> None:
    """Of two names, which give each its own results."""
    one = kernels_c.tiny("one")
    write(one, tmp_path / "first", static=False)
    write(other(kernels_c.tiny("two")), tmp_path / "second", static=False)
    sources = {
        folder: USE.format(folder=folder, name=name) for folder, name in zip(FOLDERS, ("one", "two"), strict=True)
    }
    words = [*link_words("one", "first", static=False), *link_words("two", "second", static=False)]
    done = compiled(tmp_path, *words, app=MAIN, **sources)
    assert done.returncode == 0, done.stderr
    x = np.ones(kernels_c.SHAPE, np.float32)
    y = float(kernels_c.tiny_reference(x)[0, 0, 0])
    said = subprocess.run([tmp_path / "app"], capture_output=True, text=True, check=True).stdout
    assert said == f"{y:g} {3 * y:g}\n"


@pytest.mark.parametrize("static", [False, True], ids=["shared", "static"])
def test_two_networks_of_one_name(tmp_path: Path, static: bool) -> None:
    """The linker says so, and the compiler where one file includes both headers; a network twice is none of this."""
    for folder, program in zip(FOLDERS, (kernels_c.tiny(), other(kernels_c.tiny())), strict=True):
        write(program, tmp_path / folder, static=static)
    sources = {folder: USE.format(folder=folder, name="tiny") for folder in FOLDERS}
    words = [word for folder in FOLDERS for word in link_words("tiny", folder, static=static)]
    done = compiled(tmp_path, *words, app=MAIN, **sources)
    assert done.returncode != 0
    assert "tiny_names_two_networks_compile_one_with_another_name" in done.stderr
    again = {**sources, "second": sources["second"].replace('"second/', '"first/')}
    done = compiled(tmp_path, *words, app=MAIN, **again)
    assert done.returncode == 0, done.stderr
    done = compiled(tmp_path, *words, both=MAIN + sources["first"] + sources["second"])
    assert done.returncode != 0
    assert "two networks are called tiny: compile one of them with another --name" in done.stderr


def test_a_build_is_known_by_its_number() -> None:
    """The same for the same network, another for other weights, names and options; the header has it too."""
    programs = [
        kernels_c.tiny(), other(kernels_c.tiny()), kernels_c.tiny("another"),
        kernels_c.edited(description={"target": "x86-64", "report": {"layers": [1]}}),
    ]  # fmt: skip
    numbers = []
    for program in [*programs, kernels_c.tiny()]:
        header = header_of(program, memory=plan_memory(program), triple=kernels_c.TRIPLE)
        numbers += re.findall(r'_BUILD_ID "([0-9a-f]{32})"\n', header)
    assert len({*numbers[:4]}) == 4
    assert numbers[4] == numbers[0] == read_description(kernels_c.tiny_library())["build"]


def test_what_a_library_was_given(tmp_path: Path) -> None:
    said = {"model_version": "3", "classes": ["cat", "dög"]}
    program = kernels_c.edited(description={"target": "x86-64", "report": {"layers": []}, "meta": said})
    kernels_c.link(program, tmp_path / "m.so")
    assert load(tmp_path / "m.so").meta == said
    assert load(kernels_c.tiny_library()).meta == {}
