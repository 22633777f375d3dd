"""Programs that are checked before C is written for them, and the text that is written."""

from __future__ import annotations

from dataclasses import replace

import kernels_c
import pytest

from sparsecc.build.check import check_program
from sparsecc.build.emit import c_comment, c_string
from sparsecc.errors import InternalError, UserError
from sparsecc.ir.program import Port, Program, Ref

# --- checks of the program -----------------------------------------------------------------------------------------


PAD = kernels_c.tiny().steps[0].pads[0]


@pytest.mark.parametrize(
    ("program", "message"),
    [
        (
            kernels_c.with_step(0, args=(Ref("input", 1), Ref("weight", 0), Ref("buffer", 0))),
            "refers to input 1, but there are 1",
        ),
        (kernels_c.with_step(0, writes=()), r"step 0 \(pad\): reads buffer 0, which no step wrote"),
        (kernels_c.with_step(0, writes=(0,)), "writes argument 0; expected a buffer or output"),
        (kernels_c.with_step(1, symbol="k_pad"), "kernel k_pad has 2 arguments here and 3 before"),
        (kernels_c.with_step(1, symbol="tiny_run"), "name of a public function"),
        (kernels_c.with_step(0, pads=(replace(PAD, tail=17),)), "does not fit its"),
        (kernels_c.with_step(0, pads=(replace(PAD, row_used=9),)), "does not fit its"),
        (kernels_c.with_step(0, pads=(replace(PAD, ref=Ref("weight", 0)),)), "which is read only"),
        (kernels_c.edited(outputs=(Port("y", (3,)), Port("z", (3,)))), r"no step writes output 1 \(z\)"),
    ],
)
def test_inconsistent_programs_are_our_bug(program: Program, message: str) -> None:
    with pytest.raises(InternalError, match=message):
        check_program(program)


@pytest.mark.parametrize("name", ["", "1net", "a-b", "pthread", "int", "scc", "größe"])
def test_names_that_c_can_not_take(name: str) -> None:
    with pytest.raises(UserError, match="choose another name"):
        check_program(kernels_c.edited(name=name))


# --- generated text ------------------------------------------------------------------------------------------------


def test_c_strings_and_comments() -> None:
    assert c_string('a"b\\c') == '"a\\042b\\134c"'
    assert c_string("??/é\n") == '"\\077\\077/\\303\\251\\012"'
    assert c_comment("end */ /* \n \\") == "end * / / *   /"


def test_strange_keys_survive_in_the_library() -> None:
    key = 'layers["0"]/conv*/ ??/ \\ é'
    program = kernels_c.single("k_launch", name="strange")
    program = replace(program, steps=(replace(program.steps[0], key=key),), description={"note": key, "n": [1.5, None]})
    from sparsecc.runtime import load

    library = load(kernels_c.build(program))
    assert library.profile(runs=1)[0][0] == key
    assert library.description["note"] == key
