"""Whether a convolution and the window kernel after it become one kernel: a choice as those of configs are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from sparsecc.analyse.layers import LayerPlan
from sparsecc.analyse.structure import Structure
from sparsecc.ir.graph import Chain
from sparsecc.ir.layer_key import LayerKey, bucket
from sparsecc.kernels.config import Config
from sparsecc.lower.choice import Choice, Choose
from sparsecc.lower.config import JoinConfig
from sparsecc.lower.cost.chain import join_cycles
from sparsecc.lower.joining import Joining
from sparsecc.lower.window import may_work_in_place
from sparsecc.target import Target

#: whether a convolution and the window kernel after it, with the convolution's plan, become one kernel
Decide = Callable[[Chain, LayerPlan], Joining]

JOINED, _APART = JoinConfig(True), JoinConfig(False)


def join_choice(chain: Chain, plan: LayerPlan, target: Target) -> Choice:
    """The question for a pair; ``plan`` is that of its convolution."""
    joined, apart = join_cycles(chain.conv.layer.spec, plan.kept, chain.follower, target)
    default, other = (JOINED, _APART) if joined <= apart else (_APART, JOINED)

    def predict(config: Config) -> float:
        return joined if config == JOINED else apart

    return Choice(_key(chain, plan.kept, target), default, lambda: (default, other), predict)


def as_chosen(choose: Choose, target: Target) -> Decide:
    """Decides for each pair as who chooses configs does."""

    def decide(chain: Chain, plan: LayerPlan) -> Joining:
        chosen = choose(join_choice(chain, plan, target))
        return Joining(chosen.config == JOINED, chosen.why)

    return decide


def _key(chain: Chain, structure: Structure | None, target: Target) -> LayerKey:
    window = chain.window
    dense = LayerKey(
        kind="join", spec=chain.conv.spec, block_n=0, density=100, pattern="dense", scattered=False,
        epilogue=f"{chain.conv.epilogue}, {window.epilogue}", pitch=(0, 0), window=chain.follower,
        combine=window.combine, in_place=window.fits_in_place and may_work_in_place(chain.follower, target),
    )  # fmt: skip
    return dense if structure is None else with_blocks(dense, structure)


def with_blocks(dense: LayerKey, found: Structure) -> LayerKey:
    """A dense convolution's key as that of one with rows of blocks."""
    slots, blocks = found.grouping.size, round(found.nnzb / found.density) if found.nnzb else 1
    return replace(
        dense, block_n=found.block_n, density=bucket(found.nnzb, blocks),
        pattern="uniform" if found.uniform else "ragged", scattered=not (found.aligned and slots == dense.spec.oc),
        by_tap=found.by_tap,
    )  # fmt: skip
