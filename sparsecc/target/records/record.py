"""One measured config of one layer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sparsecc.ir.layer_key import LayerKey
from sparsecc.kernels.config import Config
from sparsecc.lower import stored as configs
from sparsecc.untrusted import shown

#: of the file format: records of a higher one are left alone
FORMAT = 1
#: of microseconds behind the point
DIGITS = 4


@dataclass(frozen=True)
class Record:
    """A measured config.

    Attributes
    ----------
    layer : LayerKey
    target : str
        Name of the target, and in ``isa`` the instruction sets that it needs.
    isa : tuple of str
    threads : int
    config : Config
    us, spread : float
        Median microseconds, and the middle half's width as a share of it.
    default : Config
        The cost model's config, and in ``default_us`` its median, measured in turns with this one.
    default_us : float
    rounds : int
        Undisturbed rounds that the medians are of.
    trial : int
        Number of the trial within its search, from 1.
    cpu, date : str
    versions : mapping of str to str
    """

    layer: LayerKey
    target: str
    isa: tuple[str, ...]
    threads: int
    config: Config
    us: float
    spread: float
    default: Config
    default_us: float
    rounds: int
    trial: int
    cpu: str
    date: str
    versions: Mapping[str, str] = field(hash=False, compare=False)

    @property
    def relative(self) -> float:
        """Time as a share of the cost model's config's: what a machine's drift leaves alone."""
        return self.us / self.default_us

    def to_json(self) -> dict[str, Any]:
        """Return JSON-ready data that :meth:`from_json` reads."""
        return {
            "format": FORMAT,
            "layer": self.layer.to_json(),
            "target": self.target,
            "isa": list(self.isa),
            "threads": self.threads,
            "config": configs.to_json(self.config),
            "us": round(self.us, DIGITS),
            "spread": round(self.spread, 3),
            "default": configs.to_json(self.default),
            "default_us": round(self.default_us, DIGITS),
            "rounds": self.rounds,
            "trial": self.trial,
            "cpu": self.cpu,
            "date": self.date,
            "versions": dict(self.versions),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Record:
        """Rebuild what :meth:`to_json` returned; fields that it does not know are ignored.

        Raises
        ------
        KeyError, TypeError, ValueError
            A field is missing, of another type or out of range, or the format is newer.
        """
        if _number(data, "format", least=1) > FORMAT:
            raise ValueError(f"format {shown(data['format'])}, this version reads up to {FORMAT}")
        us, default_us = _number(data, "us", least=1e-3), _number(data, "default_us", least=1e-3)
        return cls(
            layer=LayerKey.from_json(data["layer"]), target=_text(data, "target"),
            isa=tuple(str(feature) for feature in data["isa"]), threads=int(_number(data, "threads", least=1)),
            config=configs.from_json(data["config"]), us=us, spread=_number(data, "spread"),
            default=configs.from_json(data["default"]), default_us=default_us,
            rounds=int(_number(data, "rounds", least=1)), trial=int(_number(data, "trial", least=0)),
            cpu=_text(data, "cpu"), date=_text(data, "date"),
            versions={str(name): str(version) for name, version in data["versions"].items()},
        )  # fmt: skip


def _number(data: Mapping[str, Any], name: str, *, least: float = 0.0) -> float:
    value = data[name]
    if not isinstance(value, int | float) or isinstance(value, bool) or not least <= value < float("inf"):
        raise ValueError(f"{name}: found {shown(value)}, expected a number from {least:g} on")
    return value


def _text(data: Mapping[str, Any], name: str) -> str:
    value = data[name]
    if not isinstance(value, str):
        raise TypeError(f"{name}: found {shown(value)}, expected a text")
    return value
