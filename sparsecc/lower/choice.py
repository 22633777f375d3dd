"""The one place where a kernel's config is chosen: by the cost model, by a record, or by a tuner."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

from sparsecc.facts.layer_key import LayerKey
from sparsecc.kernels.config import Config


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
        Says whether a config is legal, where that is known without the whole space.
    numbers : callable, optional
        What a config is to the ranking model of a search; only what is searched for has it.
    """

    key: LayerKey
    default: Config
    space: Callable[[], tuple[Config, ...]]
    predict: Callable[[Config], float | None]
    check: Callable[[Config], bool] | None = None
    numbers: Callable[[Config], list[float]] | None = None

    def is_legal(self, config: Config) -> bool:
        """Whether a record's config can be used."""
        return config in self._legal if self.check is None else self.check(config)

    @cached_property
    def _legal(self) -> frozenset[Config]:
        return frozenset(self.space())


Choose = Callable[[Choice], Config]
#: who chooses, by the key of the layer
Chooser = Callable[[str], Choose]


def by_cost_model(choice: Choice) -> Config:
    """Choose what the cost model does."""
    return choice.default
