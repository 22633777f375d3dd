"""Libraries for several shapes, without the compiler: which program runs, what is run in pieces, what is refused."""

from __future__ import annotations

import copy
import json
import pickle
import subprocess
from dataclasses import replace
from pathlib import Path

import kernels_c
import numpy as np
import pytest
import several_case as case
from patience import PATIENCE_S
from process_folder import folder

import sparsecc
from sparsecc.build.link import link_program
from sparsecc.build.sources import fill
from sparsecc.build.toolchain import find_compiler
from sparsecc.deploy import FILES
from sparsecc.errors import InputError, LibraryError, UserError
from sparsecc.runtime import elf
from sparsecc.runtime.description import read_text
from sparsecc.runtime.format import FUNCTIONS, SEAL_MARK, SHAPE_FUNCTIONS

HERE = Path(__file__).parent


def images(count: int, wide: int = case.WIDE) -> np.ndarray:
    return np.arange(count * wide, dtype=np.float32).reshape(count, wide)


@pytest.mark.parametrize(
    ("count", "pieces"), [(1, [1]), (2, [2]), (4, [4]), (3, [2, 1]), (7, [4, 2, 1]), (13, [4, 4, 4, 1])]
)
def test_a_call_runs_the_program_of_its_shape_or_pieces(count: int, pieces: list[int]) -> None:
    library = sparsecc.load(case.batches(), threads=1)
    x = images(count)
    assert np.array_equal(library(x), case.expected(x, pieces))
    out = np.empty_like(x)
    assert library(x, out=out) is out
    assert np.array_equal(out, case.expected(x, pieces))
    assert np.array_equal(library(x, out=x), case.expected(images(count), pieces)), "an input is written over"


def test_the_fewest_pieces_are_not_always_the_largest_first() -> None:
    library = sparsecc.load(case.build(4, 3, file="odd.so"), threads=1)
    for count, pieces in ((6, [3, 3]), (10, [4, 3, 3]), (9, [3, 3, 3]), (7, [4, 3]), (29, [4] * 5 + [3] * 3)):
        assert np.array_equal(library(images(count)), case.expected(images(count), pieces)), count
    for count in (1, 2, 5):
        with pytest.raises(InputError, match=rf"found x \({count}, 4\), which can't be made of those batches"):
            library(images(count))


def test_what_no_shape_fits_is_an_error_that_lists_them() -> None:
    library = sparsecc.load(case.batches(), threads=1)
    with pytest.raises(
        InputError, match=r"found x \(2, 5\), which is none of its shapes; expected one of: x \(1, 4\);"
    ):
        library(images(2, 5))
    with pytest.raises(InputError, match=r"\(0, 4\)"):
        library(images(0))
    with pytest.raises(InputError, match=r"found shape \(\), expected \(1, 4\)"):
        library(np.float32(1))
    with pytest.raises(InputError, match="expected a NumPy array"):
        library([[1.0], [1.0, 2.0]])
    with pytest.raises(InputError, match="float64, expected float32"):
        library(images(2).astype(np.float64))
    with pytest.raises(InputError, match="expected 1"):
        library(images(1), images(1))
    with pytest.raises(UserError, match="a batch of 3 is run in pieces"):
        library.profile(images(3))
    whole = sparsecc.load(case.build(1, 2, file="whole.so", in_pieces=False), threads=1)
    with pytest.raises(InputError, match=r"found x \(3, 4\), which can't be made"):
        whole(images(3))


def test_images_of_several_sizes_have_pieces_of_their_own() -> None:
    library = sparsecc.load(case.build((1, 4), (2, 6), (2, 4), file="sizes.so"), threads=1)
    assert [shape.sizes for shape in library.shapes] == [((1, 4),), ((2, 6),), ((2, 4),)]
    x = images(4, 6)
    assert np.array_equal(library(x), case.expected(x, [2, 2]))
    assert np.array_equal(library(images(5)), case.expected(images(5), [2, 2, 1]))
    with pytest.raises(InputError, match=r"\(3, 6\), which can't be made"):
        library(images(3, 6))
    assert [key for key, _ in library.profile(images(2, 6), runs=1)] == ["first", "last_2"]
    assert "3 shapes" in repr(library)


def test_one_library_carries_all_shapes_and_one_arena() -> None:
    path = case.batches()
    symbols = elf.parse(path.read_bytes(), name="").symbols(elf.DYNSYM)
    assert {s.name for s in symbols if s.section} == {f"several_{f}" for f in (*FUNCTIONS, *SHAPE_FUNCTIONS)}
    told = sparsecc.load(path, threads=1).description
    assert [shape["inputs"] for shape in told["shapes"]] == [[[1, 4]], [[2, 4]], [[4, 4]]]
    assert told["arena_bytes"] == 64
    assert told["weight_bytes"] == 64
    assert told["in_pieces"]


@pytest.mark.parametrize("options", ["-fsanitize=address,undefined -Wextra -Werror", "-fsanitize=thread -Wno-tsan"])
def test_every_function_from_c(options: str) -> None:
    compiler, out = find_compiler(f"gcc {options}", triple=kernels_c.TRIPLE), folder() / f"several{options[1:12]}"
    sources = case.sources(1, 2, 4)
    link_program(replace(sources, tail=(HERE / "several.c").read_text()), out, compiler=compiler)
    for words in ([], ["threads"]):
        done = subprocess.run([out, *words], capture_output=True, text=True, timeout=PATIENCE_S)
        assert (done.returncode, done.stderr) == (0, "")


def test_what_is_learned_about_threads_is_kept_for_each_shape() -> None:
    """Times of a batch of 4 must not spoil a trial of fewer threads for a batch of 1."""
    main = """
    int main(void) {
      scc_instance *self;
      float x[16] = {0}, y[16];
      const void *in[] = {x};
      void *out[] = {y};
      if (scc_create(&scc_models[0], &self) || scc_set_threads(&scc_models[0], self, 2) < 0) return 1;
      for (int i = 0; i < 6; ++i) if (scc_run(&scc_models[0], self, in, out, NULL)) return 2;
      uint64_t left = self->pool.habits.runs_to_trial, usual = self->pool.habits.usual_ns[0];
      for (int i = 0; i < 3; ++i) if (scc_run(&scc_models[2], self, in, out, NULL)) return 3;
      if (self->habits[0].runs_to_trial != left || self->habits[0].usual_ns[0] != usual) return 4;
      if (self->shape != 2 || self->pool.habits.most != 2) return 5;
      if (scc_run(&scc_models[0], self, in, out, NULL) || self->pool.habits.usual_ns[1] != usual) return 6;
      scc_destroy(self);
      return 0;
    }
    """
    sources, out = case.sources(1, 2, 4), folder() / "learned"
    compiler = find_compiler("gcc -DSCC_LEARNS=1", triple=kernels_c.TRIPLE)
    link_program(replace(sources, tail=main), out, compiler=compiler)
    done = subprocess.run([out], capture_output=True, timeout=PATIENCE_S)
    assert done.returncode in (0, 6), done.returncode  # 6: the machine was so busy that the run is not counted


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"shapes": 3}, "shapes: found 3, expected a list"),
        ({"shapes": [1]}, r"shapes\[0\]: found 1, expected an object"),
        ({"shapes": [{"inputs": [[1, 4]]}]}, "'outputs' is missing"),
        ({"shapes": [{"inputs": [], "outputs": [[1, 4]]}]}, r"inputs: found 0, expected 1"),
        ({"shapes": [{"inputs": [[1, -4]], "outputs": [[1, 4]]}]}, "inputs"),
        ({"shapes": [{"inputs": [[1]], "outputs": [[1, 4]]}]}, "found 1 sizes, expected 2"),
    ],
)
def test_a_description_with_damaged_shapes_is_refused(change: dict[str, object], said: str) -> None:
    told = sparsecc.load(case.batches(), threads=1).description
    with pytest.raises(LibraryError, match=said):
        read_text(json.dumps(told | change).encode(), name="m.so")


def test_code_and_description_must_agree_about_shapes(tmp_path: Path) -> None:
    data = case.batches().read_bytes()
    told = b'{\\"inputs\\":[[2,4]]'.replace(b"\\", b"")
    assert data.count(told) == 1
    path = tmp_path / "m.so"
    path.write_bytes(kernels_c.resealed(data.replace(told, told.replace(b"2", b"3"))))
    with pytest.raises(LibraryError, match=r"its description says shape_input\(1, 0\) \[3, 4\], its code \[2, 4\]"):
        sparsecc.load(path)


def test_the_loader_of_a_folder_knows_shapes(tmp_path: Path) -> None:
    (tmp_path / "several.so").write_bytes(case.batches().read_bytes())
    template = (FILES / "model_numpy.py.in").read_text()
    scope: dict[str, object] = {"__file__": str(tmp_path / "several_numpy.py"), "__name__": "loader"}
    exec(fill(template, {"name": "several", "version": "0", "mark": SEAL_MARK}), scope)
    net = scope["Model"](threads=1)  # type: ignore[operator]
    for count, pieces in ((2, [2]), (7, [4, 2, 1])):
        assert np.array_equal(net(images(count)), case.expected(images(count), pieces))
    with pytest.raises(
        TypeError, match=r"found inputs of shape \(2, 5\), expected one of \(1, 4\); \(2, 4\); \(4, 4\)"
    ):
        net(images(2, 5))


def test_for_other_processors() -> None:
    triple = "aarch64-linux-gnu"
    path = case.build(1, 2, file=f"several-{triple}.so", triple=triple)
    symbols = elf.parse(path.read_bytes(), name="").symbols(elf.DYNSYM)
    assert {s.name for s in symbols if s.section} == {f"several_{f}" for f in (*FUNCTIONS, *SHAPE_FUNCTIONS)}


def test_copies_pickles_and_lean_instances_know_shapes() -> None:
    library = sparsecc.load(case.batches(), threads=1)
    for twin in (copy.copy(library), pickle.loads(pickle.dumps(library))):
        assert np.array_equal(twin(images(3)), case.expected(images(3), [2, 1]))
