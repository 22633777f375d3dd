"""Ranks candidates by a model of the measurements so far; random picks keep it honest."""

from __future__ import annotations

import math
from collections.abc import Sequence
from random import Random
from typing import Any, Protocol

import numpy as np
import xgboost
from numpy.typing import NDArray

from sparsecc.kernels.config import Config
from sparsecc.lower.choice import Choice
from sparsecc.target import Target
from sparsecc.tuning.features import features

#: a tree ensemble that is fitted to some hundred to some thousand rows in a tenth of a second
_MODEL = {"max_depth": 6, "eta": 0.15, "objective": "reg:squarederror", "nthread": 1, "verbosity": 0, "seed": 0}
_TREES = 80
#: configs slower than this times the cost model's are all alike to the model
_SLOWEST = 3.0
#: share of a batch that is picked at random
_RANDOM = 0.25
#: measurements before the model is asked instead of the cost model
_LEAST = 24


class Ranker(Protocol):
    """Proposes what to measure next."""

    def learn(self, choice: Choice, config: Config, relative: float) -> None:
        """Take in a measurement: the time as a share of the cost model's config's."""

    def expect(self, choice: Choice, configs: Sequence[Config]) -> NDArray[np.float64]:
        """Expected times of configs, as shares of the cost model's config's."""

    def propose(self, choice: Choice, configs: Sequence[Config], count: int) -> list[Config]:
        """Up to ``count`` of ``configs``, the most promising first."""


class BoostedRanker:
    """Gradient-boosted trees over all layers' measurements (xgboost); the cost model's opinion is one feature."""

    def __init__(self, target: Target, *, seed: int = 0) -> None:
        self._target, self._random = target, Random(seed)
        self._rows: list[NDArray[np.float32]] = []
        self._labels: list[float] = []
        self._known: dict[tuple[int, Config], NDArray[np.float32]] = {}
        self._model: Any = None
        self._fitted = 0

    def learn(self, choice: Choice, config: Config, relative: float) -> None:
        """See :class:`Ranker`."""
        self._rows.append(self._features(choice, [config])[0])
        self._labels.append(math.log(min(relative, _SLOWEST)))

    def expect(self, choice: Choice, configs: Sequence[Config]) -> NDArray[np.float64]:
        """See :class:`Ranker`; before there are measurements the cost model's opinion."""
        rows = self._features(choice, configs)
        if len(self._labels) < _LEAST:
            return np.exp(np.maximum(rows[:, 0].astype(np.float64), 0.0))
        if self._fitted != len(self._labels):
            data = xgboost.DMatrix(np.array(self._rows), np.array(self._labels))
            self._model = xgboost.train(_MODEL, data, num_boost_round=_TREES)
            self._fitted = len(self._labels)
        return np.asarray(np.exp(self._model.predict(xgboost.DMatrix(rows))), np.float64)

    def _features(self, choice: Choice, configs: Sequence[Config]) -> NDArray[np.float32]:
        """Rows of configs; those of a space are asked for again and again."""
        new = [config for config in configs if (id(choice), config) not in self._known]
        if new:
            rows = features(choice, self._target, new)
            self._known.update({(id(choice), config): row for config, row in zip(new, rows, strict=True)})
        return np.array([self._known[id(choice), config] for config in configs])

    def propose(self, choice: Choice, configs: Sequence[Config], count: int) -> list[Config]:
        """See :class:`Ranker`."""
        if not configs:
            return []
        order = np.argsort(self.expect(choice, configs), kind="stable")
        surprises = min(round(count * _RANDOM), max(0, len(configs) - count))
        best = [configs[i] for i in order[: count - surprises]]
        chosen = set(best)
        others = [config for config in configs if config not in chosen]
        return best + self._random.sample(others, min(surprises, len(others)))


class RandomRanker:
    """What the model is compared with: every config as good as another."""

    def __init__(self, *, seed: int = 0) -> None:
        self._random = Random(seed)

    def learn(self, choice: Choice, config: Config, relative: float) -> None:
        """Nothing to learn."""

    def expect(self, choice: Choice, configs: Sequence[Config]) -> NDArray[np.float64]:
        """All alike."""
        return np.ones(len(configs))

    def propose(self, choice: Choice, configs: Sequence[Config], count: int) -> list[Config]:
        """A random sample."""
        return self._random.sample(list(configs), min(count, len(configs)))
