"""Whether a convolution and the window kernel after it become one kernel: a choice as those of configs are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from sparsecc.analyse.layers import LayerPlan
from sparsecc.analyse.structure import Structure
from sparsecc.cost.chain import join_cycles
from sparsecc.facts.epilogue import Epilogue
from sparsecc.facts.graph import Chain, FusedConv
from sparsecc.facts.layer import PoolLayer
from sparsecc.facts.layer_key import LayerKey, bucket
from sparsecc.rewrite.chain import Joining
from sparsecc.rewrite.choice import Choice, Choose
from sparsecc.rewrite.in_place import may_work_in_place
from sparsecc.rewrite.layout import window_spec
from sparsecc.spaces.config import Config, JoinConfig
from sparsecc.target import Target

#: whether a convolution and the window kernel after it, with the convolution's plan, become one kernel
Decide = Callable[[Chain, LayerPlan], Joining]

_JOINED, _APART = JoinConfig(True), JoinConfig(False)


def join_choice(chain: Chain, plan: LayerPlan, target: Target) -> Choice:
    """The question for a pair; ``plan`` is that of its convolution."""
    joined, apart = join_cycles(chain.conv.layer.spec, plan.kept, window_spec(chain), target)
    default, other = (_JOINED, _APART) if joined <= apart else (_APART, _JOINED)

    def predict(config: Config) -> float:
        return joined if config == _JOINED else apart

    return Choice(_key(chain, plan.kept, target), default, lambda: (default, other), predict)


def as_chosen(choose: Choose, target: Target) -> Decide:
    """Decides for each pair as who chooses configs does."""

    def decide(chain: Chain, plan: LayerPlan) -> Joining:
        chosen = choose(join_choice(chain, plan, target))
        assert isinstance(chosen.config, JoinConfig), "a pair's choice says whether it is joined"
        return Joining(chosen.config.joined, chosen.why)

    return decide


def _key(chain: Chain, structure: Structure | None, target: Target) -> LayerKey:
    spec, window = chain.conv.layer.spec, chain.window
    then = window.epilogue if isinstance(window, FusedConv) else Epilogue()
    combine = window.combine if isinstance(window, PoolLayer) else "weighted"
    dense = LayerKey(
        kind="join", spec=spec, block_n=0, density=100, pattern="dense", scattered=False,
        epilogue=f"{chain.conv.epilogue}, {then}", pitch=(0, 0), window=window_spec(chain), combine=combine,
        in_place=isinstance(window, FusedConv) and may_work_in_place(window_spec(chain), target),
    )  # fmt: skip
    return dense if structure is None else _with_blocks(dense, structure)


def _with_blocks(dense: LayerKey, found: Structure) -> LayerKey:
    slots, blocks = found.grouping.size, round(found.nnzb / found.density) if found.nnzb else 1
    return replace(
        dense, block_n=found.block_n, density=bucket(found.nnzb, blocks),
        pattern="uniform" if found.uniform else "ragged", scattered=not (found.aligned and slots == dense.spec.oc),
        by_tap=found.by_tap,
    )  # fmt: skip
