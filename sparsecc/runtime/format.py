"""What a library looks like from outside: agreed between ``sparsecc.build``, which writes it, and this package."""

from __future__ import annotations

#: Raised whenever the functions below or the meaning of the description change.
FORMAT = 2

#: Section of the shared library that holds the description: JSON text that ends with a zero byte.
DESCRIPTION_SECTION = ".sparsecc"

#: Section with the seal: SEAL_MARK and a zero byte, the file's size (8 bytes), the digest of the file with zeros in the
#: place of size and digest (``digest.py``), and zeros up to SEAL_BYTES.
SEAL_SECTION = ".sparsecc_seal"
SEAL_MARK = "sparsecc digest"
SEAL_BYTES = 64

#: Exported functions, after the library's prefix and an underscore.
FUNCTIONS = (
    "create",
    "create_lean",
    "destroy",
    "run",
    "profile",
    "set_threads",
    "num_inputs",
    "input_name",
    "input_dtype",
    "input_rank",
    "input_shape",
    "num_outputs",
    "output_name",
    "output_dtype",
    "output_rank",
    "output_shape",
    "num_steps",
    "step_key",
    "target",
    "version",
    "describe",
    "check",
    "last_error",
)

#: Those of a library for several shapes besides; all above are about its first shape.
SHAPE_FUNCTIONS = (
    "num_shapes",
    "find_shape",
    "shape_input",
    "shape_output",
    "shape_num_steps",
    "shape_step_key",
    "run_shape",
    "profile_shape",
    "num_pieces",
    "run_batch",
)

#: Return code of ``create`` on a CPU without the needed instructions.
WRONG_CPU = 2
