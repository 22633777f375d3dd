"""Machine code of 64-bit ARM as text, and kinds of instructions."""

from __future__ import annotations

import re
import subprocess
from collections import Counter
from collections.abc import Iterable, Sequence

from bench.emulate.blocks import Block

#: kinds of instructions, as tables have them
KINDS = ("multiply-adds", "vector arithmetic", "vector loads", "vector stores", "scalar loads", "scalar stores",
         "branches", "scalar arithmetic")  # fmt: skip
_ENCODING = re.compile(r"^\t(.*?)\s+// encoding: \[(.*?)\]")
_BRANCH = re.compile(r"(?:b|bl|br|blr|ret|b\.\w+|cbn?z|tbn?z)$")
_VECTOR = re.compile(r"\b[vqdsh]\d+\b")
_FEATURES = "+v8.2a,+fullfp16,+dotprod,+lse,+crypto,+rcpc"
#: what an unknown word is written as
UNKNOWN = "nop"


def texts(blocks: Iterable[Block], *, mc: str = "llvm-mc") -> dict[bytes, str]:
    """Words of code -> instructions; :data:`UNKNOWN` for one that the disassembler does not know."""
    words = {block.code[i : i + 4] for block in blocks for i in range(0, len(block.code), 4)}
    lines = "\n".join(" ".join(f"0x{byte:02x}" for byte in word) for word in words)
    command = [mc, "--disassemble", "--show-encoding", "-triple=aarch64", f"-mattr={_FEATURES}"]
    done = subprocess.run(command, input=lines, capture_output=True, text=True, check=True)
    found = dict.fromkeys(words, UNKNOWN)
    for line in done.stdout.splitlines():
        if match := _ENCODING.match(line):
            found[bytes(int(byte, 16) for byte in match[2].split(","))] = match[1]
    return found


def listing(block: Block, names: dict[bytes, str]) -> list[str]:
    """A block's instructions."""
    return [names[block.code[i : i + 4]] for i in range(0, len(block.code), 4)]


def kind_of(instruction: str) -> str:
    """One of :data:`KINDS`."""
    name, _, rest = instruction.partition("\t")
    if name in ("fmla", "fmls") and re.match(r"v\d+\.(?:4s|2d|8h)", rest):
        return "multiply-adds"
    if _BRANCH.match(name):
        return "branches"
    vector = bool(_VECTOR.search(rest.partition("[")[0]))
    if name.startswith(("ld", "prf")):
        return "vector loads" if vector else "scalar loads"
    if name.startswith("st"):
        return "vector stores" if vector else "scalar stores"
    return "vector arithmetic" if vector else "scalar arithmetic"


def count_kinds(blocks: Sequence[Block], names: dict[bytes, str]) -> Counter[str]:
    """Instructions that ran, by kind."""
    counts: Counter[str] = Counter()
    for block in blocks:
        for instruction in listing(block, names):
            counts[kind_of(instruction)] += block.runs
    return counts
