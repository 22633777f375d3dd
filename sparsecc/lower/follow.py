"""Configs of a network for one shape that let its weights lie as those of the same network for another shape do."""

from __future__ import annotations

from collections.abc import Hashable

from sparsecc.ir.provenance import BY_MODEL
from sparsecc.lower.choice import Choice, Choose, Chosen


def following(choose: Choose, packing: Hashable | None) -> Choose:
    """Chooses as ``choose`` does where weights lie as they should then, else the fastest of those that have them so.

    Parameters
    ----------
    choose : callable
    packing : hashable or None
        :attr:`~sparsecc.kernels.config.Config.packing` of the node's config in the other network; None where that has
        no such node.
    """
    if packing is None:
        return choose

    def chosen(choice: Choice) -> Chosen:
        own = choose(choice)
        if own.config.packing == packing:
            return own
        found = [config for config in choice.space() if config.packing == packing]
        if not found:
            return own
        config = min(found, key=lambda config: choice.predict(config) or 0.0)
        return Chosen(choice, config, BY_MODEL)

    return chosen
