"""The folder that goes to a board, what its script writes there, and what is read of it."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from bench.board import record
from bench.board.__main__ import main, make
from bench.board.record import RecordError, read_record, rows
from bench.results.schema import Cell

WHOLE = """\
sparsecc-board 1
board Raspberry Pi 4 Model B Rev 1.4
kernel Linux 6.1.0 aarch64
bits 64
governor ondemand
khz 1800000
millidegrees 41000
program mobilenet_v1-1x4_75-rpi4 1
sparsecc-bench 1 1 29 0
cpu Cortex-A72
run 30000000
run 32000000
run 31000000
step 0 1000
done
program mobilenet_v1-1x4_75-rpi4 4
run 9000000
millidegrees 62000
throttled throttled=0x50000
end
"""


def test_a_record():
    found = read_record(WHOLE, name="record.txt")
    assert [(t.program, t.threads, t.ms) for t in found.timed] == [
        ("mobilenet_v1-1x4_75-rpi4", 1, 31.0), ("mobilenet_v1-1x4_75-rpi4", 4, 9.0),
    ]  # fmt: skip
    assert found.timed[0].spread == pytest.approx(1 / 31)
    assert found.was_throttled
    first, _ = rows([("record.txt", found)])
    assert first == ["Raspberry Pi 4 Model B Rev 1.4", "mobilenet_v1-1x4_75-rpi4", "1", "31.00 ms, 3 %",
                     "1.8 GHz, ondemand, 62 C, throttled"]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "found no whole record"),
        (WHOLE.removesuffix("end\n"), "expected 'sparsecc-board 1' first and 'end' last; run it again"),
        (WHOLE.replace("run 9000000", "failed"), "line 17: mobilenet_v1-1x4_75-rpi4 failed on the board"),
        (WHOLE.replace("run 9000000\n", ""), "found no timed run of mobilenet_v1-1x4_75-rpi4 with 4 threads"),
    ],
)
def test_no_whole_record(text, message, tmp_path, capsys):
    with pytest.raises(RecordError, match=message):
        read_record(text, name="record.txt")
    (tmp_path / "record.txt").write_text(text)
    assert main(["table", str(tmp_path / "record.txt")]) == 2
    assert message.split(";")[0] in capsys.readouterr().err


def test_what_the_script_writes(tmp_path: Path, capsys):
    """With a program that speaks as ours do; one that fails is told."""
    (tmp_path / "programs").mkdir()
    shutil.copy(Path(record.__file__).parent / "run.sh", tmp_path)
    program = tmp_path / "programs" / "net-dense-rpi4"
    program.write_text('#!/bin/sh\n[ "$1" = --threads ] && [ "$5" = --lines ] && echo "run $((1000000 * $2))"\n')
    program.chmod(0o755)
    subprocess.run(["sh", "run.sh"], cwd=tmp_path, check=True, capture_output=True)
    assert main(["table", str(tmp_path / "record.txt")]) == 0
    assert "| net-dense-rpi4 | 1 | 1.00 ms, 0 % |" in capsys.readouterr().out
    program.write_text("#!/bin/sh\nexit 3\n")
    subprocess.run(["sh", "run.sh"], cwd=tmp_path, check=True, capture_output=True)
    assert main(["table", str(tmp_path / "record.txt")]) == 2
    assert "net-dense-rpi4 failed on the board" in capsys.readouterr().err


@pytest.mark.slow
def test_the_folder(tmp_path: Path):
    """A static program for each network and pattern, beside the script."""
    make("rpi4", tmp_path / "kit", [Cell("mobilenet_v1", 4, 0.75, width=0.125, size=32)])
    (program,) = (tmp_path / "kit" / "programs").iterdir()
    assert program.name == "mobilenet_v1-1x4_75-rpi4"
    assert program.read_bytes()[:4] == b"\x7fELF"
    assert "rpi4" in (tmp_path / "kit" / "README.txt").read_text()
    assert (tmp_path / "kit" / "run.sh").exists()
