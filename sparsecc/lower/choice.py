"""The one place where a kernel's config is chosen: by the cost model, by a record, or by a tuner."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

from sparsecc.ir.layer_key import LayerKey
from sparsecc.ir.provenance import BY_MODEL, BY_SEARCH, Provenance
from sparsecc.kernels.config import Config


@dataclass(frozen=True)
class Verdict:
    """Whether a config can be used; ``problem`` says what is odd about one that can't, empty where it does not fit."""

    is_legal: bool
    problem: str = ""


@dataclass(frozen=True, eq=False)
class Choice:
    """A kernel whose config is to be chosen.

    Attributes
    ----------
    key : LayerKey
        What records call the layer.
    default : Config
        The cost model's.
    space : callable
        Returns every legal config, the default among them.
    predict : callable
        Cycles that the cost model predicts for a config; None where there is no model.
    check : callable, optional
        Says whether a config can be used, where that is known without the whole space.
    numbers : callable, optional
        What a config is to the ranking model of a search; only what is searched for has it.
    """

    key: LayerKey
    default: Config
    space: Callable[[], tuple[Config, ...]]
    predict: Callable[[Config], float | None]
    check: Callable[[Config], Verdict] | None = None
    numbers: Callable[[Config], list[float]] | None = None

    def verdict(self, config: Config) -> Verdict:
        """Whether a record's config can be used."""
        return Verdict(config in self._legal) if self.check is None else self.check(config)

    @cached_property
    def _legal(self) -> frozenset[Config]:
        return frozenset(self.space())


@dataclass(frozen=True, eq=False)
class Chosen:
    """What was chosen, and by what."""

    choice: Choice
    config: Config
    why: Provenance


Choose = Callable[[Choice], Chosen]


def by_cost_model(choice: Choice) -> Chosen:
    """Choose what the cost model does."""
    return Chosen(choice, choice.default, BY_MODEL)


def only(config: Config) -> Choose:
    """Choose this one, whatever the choice: what a search wants to measure."""
    return lambda choice: Chosen(choice, config, BY_SEARCH)
