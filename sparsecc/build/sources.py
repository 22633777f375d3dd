"""Where the runtime's C sources are."""

from pathlib import Path

#: Folder of the C files that every generated ``main.c`` includes.
SOURCES = Path(__file__).parent / "csrc"
