"""Damage to bytes and to JSON data."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from random import Random
from typing import Any

PAGE = 4096
Damage = Callable[[bytes, Random], bytes]


def damaged(data: bytes, random: Random) -> bytes:
    """The bytes with one damage, such as disks, networks and editors do."""
    return random.choice(DAMAGES)(data, random)


def _flip(data: bytes, random: Random) -> bytes:
    bit = random.randrange(8 * len(data))
    changed = bytearray(data)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def _overwrite(data: bytes, random: Random) -> bytes:
    start, length = random.randrange(len(data)), random.choice([1, 2, 4, 8, 64, 512])
    filling = random.choice([bytes(length), b"\xff" * length, random.randbytes(length)])
    return data[:start] + filling[: len(data) - start] + data[start + length :]


def _zero_page(data: bytes, random: Random) -> bytes:
    start = random.randrange(-(-len(data) // PAGE)) * PAGE
    return data[:start] + bytes(min(PAGE, len(data) - start)) + data[start + PAGE :]


def _swap_pages(data: bytes, random: Random) -> bytes:
    pages = [data[i : i + PAGE] for i in range(0, len(data), PAGE)]
    a, b = random.randrange(len(pages)), random.randrange(len(pages))
    pages[a], pages[b] = pages[b], pages[a]
    return b"".join(pages)


def _cut(data: bytes, random: Random) -> bytes:
    return data[: random.randrange(len(data))]


def _append(data: bytes, random: Random) -> bytes:
    return data + random.choice([b"\0", b"\n", bytes(PAGE), random.randbytes(random.randint(1, 99)), data])


def _insert(data: bytes, random: Random) -> bytes:
    at = random.randrange(len(data))
    return data[:at] + random.randbytes(random.choice([1, 1, 8, 100])) + data[at:]


def _remove(data: bytes, random: Random) -> bytes:
    at = random.randrange(len(data))
    return data[:at] + data[at + random.choice([1, 1, 8, 100]) :]


#: single bits most often: they are the hardest to see
DAMAGES: tuple[Damage, ...] = (
    _flip, _flip, _flip, _flip, _flip, _overwrite, _overwrite, _zero_page, _swap_pages, _cut, _append, _insert, _remove,
)  # fmt: skip

#: values that no field expects
HOSTILE: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2, 3, 40, 2**31, 2**63, 2**64, -(2**63), 10**400, 0.5, 1e308, float("nan"),
    float("inf"), -float("inf"), "", "0", "x", "../../x", "a" * 10000, "\x00", "\x1b[31m", "\ud800", "<b>", [], [[]],
    [0], [-1], [2**40, 2**40], [None], ["rpi4"], {}, {"": 0}, {"format": 1},
)  # fmt: skip


def compact(value: Any) -> str:
    """JSON text without spaces."""
    return json.dumps(value, separators=(",", ":"))


def damaged_json(value: Any, random: Random) -> str:
    """JSON text of the data after one change to a field, or with a text that no parser likes."""
    if random.random() < 0.1:
        return _text(value, random)
    changed = json.loads(json.dumps(value))
    places = list(_places(changed))
    if not places:
        return compact(random.choice(HOSTILE))
    container, key = random.choice(places)
    change = random.choice(["replace", "replace", "replace", "remove", "neighbour", "more"])
    if change == "replace":
        container[key] = random.choice(HOSTILE)
    elif change == "remove":
        del container[key]
    elif change == "neighbour":
        other, name = random.choice(places)
        container[key] = json.loads(json.dumps(other.get(name) if isinstance(other, dict) else None))
    else:
        container[key] = _more(container[key], random)
    return compact(changed)


def _text(value: Any, random: Random) -> str:
    """Texts that are hard on parsers."""
    text = compact(value)
    digits = "1" * 401
    return random.choice(
        ["[" * 100000, '{"a":' * 100000, digits, "Infinity", "NaN", "", " ", "null", "[]", text + text, text[:-1],
         text.replace("1", digits, 1), text.replace(":", ": Infinity, \"x\":", 1), '"' + text, "\ufeff" + text]
    )  # fmt: skip


def _more(value: Any, random: Random) -> Any:
    """The same kind of value, another one."""
    if isinstance(value, bool) or value is None:
        return random.choice(HOSTILE)
    if isinstance(value, int | float):
        return value * random.choice([-1, 0, 2, 10, 1000]) + random.choice([0, 1, -1])
    if isinstance(value, str):
        return value + random.choice(["x", "\n", "'", '"', "\\"])
    return [*value, *value] if isinstance(value, list) else {**value, "x": 0}


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every container of the data with each of its keys."""
    keys = list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    for key in keys:
        yield value, key
        yield from _places(value[key])
