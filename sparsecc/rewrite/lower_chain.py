"""A convolution and the window kernel after it, as one kernel."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

from numpy.typing import NDArray

from sparsecc.analyse.layers import LayerPlan
from sparsecc.cost.chain import plane_parts
from sparsecc.facts.graph import Chain
from sparsecc.facts.layout import dealt, padded
from sparsecc.facts.placed import Placed, PlacedNode
from sparsecc.kernels.chain import ChainConfig, ChainShape, argument_names, bands_of
from sparsecc.kernels.direct_shape import DirectConfig
from sparsecc.kernels.store import StoreShape
from sparsecc.kernels.window_shape import WindowShape
from sparsecc.rewrite.choice import Choice, Choose, by_cost_model
from sparsecc.rewrite.lower_conv import DirectOptions, direct_options, image, mask_of, pack_direct, store_shape
from sparsecc.rewrite.lower_window import window_config, window_constants, window_shape
from sparsecc.rewrite.lowered import Lowered
from sparsecc.schedule.chain import schedule_chain
from sparsecc.spaces.config import Config, ConvConfig, JoinedConfig
from sparsecc.spaces.window import joined_space
from sparsecc.target import Target

#: share of a band's rows (one in so many) that may be given up for more parts
_FEWER_ROWS = 4


def lower_chain(
    node: PlacedNode,
    chain: Chain,
    placed: Placed,
    plan: LayerPlan,
    target: Target,
    choose: Choose = by_cost_model,
) -> Lowered:
    """Lower a chain; both kernels have what the cost model or a record likes best."""
    between, windows = chain_shapes(node, chain, placed, target)
    store, source = windows.store, image(placed, node.inputs[0])
    options = direct_options(chain.conv, plan, between, source, target, joined=True)
    config = choose(_choice(options, windows, chain))
    assert isinstance(config, JoinedConfig), "a chain's choice gives its config"
    packed = pack_direct(options, ConvConfig(config.block_n, config.chain.conv))
    conv = replace(packed.shape, store=replace(between, channels=config.chain.conv.reg_n))
    shape = ChainShape(conv, windows)

    constants = window_constants(chain.window, store)
    values: dict[str, int | NDArray[Any]] = {
        **{name: constants[name] for name in ("scale",) if name in constants},
        **{f"window_{name}": value for name, value in constants.items()},
        **packed.constants,
        "input": node.inputs[0],
        "mask": mask_of(between.layout),
        "output": node.output,
    }
    arguments = tuple(values[name] for name in argument_names(shape))
    made, joined = config.chain, (chain.window_key,)
    knobs = {**asdict(made.conv), "window": asdict(made.window), "parts": made.parts}
    function, cycles = schedule_chain(shape, made), options.predict(ConvConfig(config.block_n, made.conv))
    return Lowered("chain", ("chain", shape, made), function, arguments, knobs, cycles, joined)


def chain_shapes(node: PlacedNode, chain: Chain, placed: Placed, target: Target) -> tuple[StoreShape, WindowShape]:
    """Where the convolution stores, in planes with the pitch of its input, and the window kernel that reads them."""
    source, window = image(placed, node.inputs[0]), chain.follower
    halo = (0, 0, 0, 0) if node.packs else window.padding
    layout = dealt if window.stride == (2, 2) and not node.packs else padded
    planes = layout(window.ih, window.iw, halo=halo, pitch=source.pitch)
    masked, gap = max(halo[1], halo[3]) > 0, chain.window.fill
    between = StoreShape(1, window.ic, planes, chain.conv.epilogue, masked=masked, gap=gap)
    store = store_shape(node, placed, chain.window.epilogue)
    return between, window_shape(chain.window, store, planes, target, packs=node.packs)


def _choice(options: DirectOptions, windows: WindowShape, chain: Chain) -> Choice:
    """What is open for a chain: the configs of both kernels, and the parts of an image."""
    target, image_bytes = options.target, 4 * options.source.size(options.spec.ic)

    def joined(conv: ConvConfig) -> JoinedConfig:
        assert isinstance(conv.kernel, DirectConfig), "a chain's convolution has pixels as the vector"
        return JoinedConfig(conv.block_n, _config(conv.kernel, windows, image_bytes=image_bytes, target=target))

    def space() -> tuple[JoinedConfig, ...]:
        # bands don't depend on the convolution's store: any number of planes will do
        shape = ChainShape(pack_direct(options, options.default()).shape, windows)
        return tuple(dict.fromkeys((default, *joined_space(options.space(), shape, target))))

    def predict(config: Config) -> float:
        assert isinstance(config, JoinedConfig), "configs of a chain"
        return options.predict(ConvConfig(config.block_n, config.chain.conv))

    default = joined(options.default())
    key = options.key("chain", pitch=windows.store.layout.pitch, window=windows.spec, combine=windows.combine)
    return Choice(replace(key, epilogue=f"{key.epilogue}, {chain.window.epilogue}"), default, space, predict)


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
