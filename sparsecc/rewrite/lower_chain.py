"""A convolution and the window kernel after it, as one kernel."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

from numpy.typing import NDArray

from sparsecc.analyse.layers import LayerPlan
from sparsecc.cost.chain import plane_parts
from sparsecc.facts.epilogue import Epilogue
from sparsecc.facts.graph import Chain, FusedConv
from sparsecc.facts.layer import PoolLayer
from sparsecc.facts.layout import dealt, padded
from sparsecc.facts.placed import Placed, PlacedNode
from sparsecc.kernels.chain import ChainConfig, ChainShape, argument_names, bands_of
from sparsecc.kernels.direct_shape import DirectConfig
from sparsecc.kernels.store import StoreShape
from sparsecc.kernels.window_shape import LOWEST, WindowShape
from sparsecc.rewrite.layout import window_spec
from sparsecc.rewrite.lower_conv import Choose, choose_direct, image, mask_of, store_shape
from sparsecc.rewrite.lower_window import window_config, window_constants, window_shape
from sparsecc.rewrite.lowered import Lowered
from sparsecc.schedule.chain import schedule_chain
from sparsecc.target import Target

#: share of a band's rows (one in so many) that may be given up for more parts
_FEWER_ROWS = 4


def lower_chain(
    node: PlacedNode,
    chain: Chain,
    placed: Placed,
    plan: LayerPlan,
    target: Target,
    choose: Choose | None = None,
) -> Lowered:
    """Lower a chain; the planes between both kernels have the pitch of its input."""
    source, window = image(placed, node.inputs[0]), window_spec(chain)
    halo = (0, 0, 0, 0) if node.packs else window.padding
    layout = dealt if window.stride == (2, 2) and not node.packs else padded
    planes = layout(window.ih, window.iw, halo=halo, pitch=source.pitch)
    gap = LOWEST if isinstance(chain.window, PoolLayer) and chain.window.combine == "max" else 0.0
    between = StoreShape(1, window.ic, planes, chain.conv.epilogue, masked=max(halo[1], halo[3]) > 0, gap=gap)
    conv = choose_direct(chain.conv, plan, between, source, target, joined=True, choose=choose)

    epilogue = chain.window.epilogue if isinstance(chain.window, FusedConv) else Epilogue()
    store = store_shape(node, placed, epilogue)
    windows = window_shape(chain.window, store, planes, target, packs=node.packs)
    shape = ChainShape(replace(conv.shape, store=replace(between, channels=conv.config.reg_n)), windows)
    config = _config(conv.config, windows, image_bytes=4 * source.size(chain.conv.layer.spec.ic), target=target)

    constants = window_constants(chain.window, store)
    values: dict[str, int | NDArray[Any]] = {
        **{name: constants[name] for name in ("scale",) if name in constants},
        **{f"window_{name}": value for name, value in constants.items()},
        **conv.constants,
        "input": node.inputs[0],
        "mask": mask_of(planes),
        "output": node.output,
    }
    arguments = tuple(values[name] for name in argument_names(shape))
    knobs = {**asdict(config.conv), "window": asdict(config.window)}
    function, joined = schedule_chain(shape, config), (chain.window_key,)
    return Lowered("chain", ("chain", shape, config), function, arguments, knobs, conv.cycles, joined)


def _config(conv: DirectConfig, shape: WindowShape, *, image_bytes: int, target: Target) -> ChainConfig:
    """Rows of a band as the window kernel by itself likes them, or a few less, if that allows for more parts."""
    best = window_config(shape, target)

    def parts(rows: int) -> int:
        bands = bands_of(shape, replace(best, rows=rows))
        floats = shape.store.flat
        return plane_parts(shape.spec, bands=bands, floats=floats, image_bytes=image_bytes, target=target)

    least = max(1, best.rows - best.rows // _FEWER_ROWS)
    rows = max(range(best.rows, least - 1, -1), key=parts) if best.rows else 0
    return ChainConfig(conv, replace(best, rows=rows), parts(rows))
