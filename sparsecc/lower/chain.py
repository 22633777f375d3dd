"""A convolution and the window kernel after it, as one kernel."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from numpy.typing import NDArray

from sparsecc.ir.graph import Chain
from sparsecc.ir.layer_key import LayerKey
from sparsecc.ir.layout import dealt, padded
from sparsecc.kernels.chain import ChainConfig, ChainShape, argument_names, bands_of
from sparsecc.kernels.chain_schedule import schedule_chain
from sparsecc.kernels.direct_shape import DirectConfig
from sparsecc.kernels.store import StoreShape
from sparsecc.kernels.window_shape import WindowShape
from sparsecc.lower.config import ConvConfig, JoinedConfig
from sparsecc.lower.conv import best
from sparsecc.lower.cost.chain import chain_cycles, plane_parts
from sparsecc.lower.cost.window import arithmetic_cycles
from sparsecc.lower.direct import DirectOptions, direct_options, direct_works
from sparsecc.lower.kernel import Cost, Knobs, Once
from sparsecc.lower.lowered import Lowered
from sparsecc.lower.numbers import chain_numbers
from sparsecc.lower.pack_direct import pack_direct
from sparsecc.lower.site import Site, mask_of
from sparsecc.lower.window import COMBINES, window_config, window_constants, window_shape, window_space
from sparsecc.target import Target

#: share of a band's rows (one in so many) that may be given up for more parts
_FEWER_ROWS = 4
#: parts that an image may be cut into
_PARTS = (1, 2, 4, 8)
#: floats ahead of their use at which weights are asked for: a chain's weights are few
_PREFETCH = (0, 512)


@dataclass(frozen=True, eq=False)
class ChainOptions:
    """A chain whose configs are open.

    Attributes
    ----------
    conv : DirectOptions
    between : StoreShape
        Where the convolution stores: planes in scratch memory.
    window : WindowShape
        The kernel that reads them.
    """

    conv: DirectOptions
    between: StoreShape
    window: WindowShape


def opened(site: Site[Chain]) -> ChainOptions:
    """What is open: the configs of both kernels, and the parts of an image."""
    between, window = chain_shapes(site)
    conv = direct_options(site.operator.conv, site.plan, between, site.source, site.target, joined=True)
    return ChainOptions(conv, between, window)


def key(site: Site[Chain], options: ChainOptions) -> LayerKey:
    """What records call it."""
    window = options.window
    found = options.conv.key("chain", pitch=window.store.layout.pitch, window=window.spec, combine=window.combine.name)
    return replace(found, epilogue=f"{found.epilogue}, {site.operator.window.epilogue}")


def default(site: Site[Chain], options: ChainOptions) -> JoinedConfig:
    """What the cost model likes best of both kernels."""
    conv = options.conv.default()
    assert conv.direct is not None, "a chain's convolution has pixels as the vector"
    image_bytes = 4 * site.source.size(options.conv.spec.ic)
    return JoinedConfig(conv.block_n, _config(conv.direct, options.window, image_bytes=image_bytes, target=site.target))


def space(site: Site[Chain], options: ChainOptions) -> Iterator[JoinedConfig]:
    """Every legal config of a convolution with those of its window kernel, and the parts of an image."""
    windows = [(w, bands_of(options.window, w)) for w in window_space(options.window, site.target)]
    for conv in options.conv.space():
        if conv.direct is None or conv.direct.prefetch not in _PREFETCH:
            continue
        for window, bands in windows:
            for parts in _PARTS:
                if bands % parts == 0:
                    yield JoinedConfig(conv.block_n, ChainConfig(conv.direct, window, parts))


def cycles(site: Site[Chain], options: ChainOptions, config: JoinedConfig) -> float:
    """What the cost model predicts of the convolution."""
    return options.conv.predict(ConvConfig(config.block_n, config.chain.conv))


def lower(site: Site[Chain], options: ChainOptions, config: JoinedConfig) -> Lowered:
    """Pack the weights, and make the kernel."""
    node, chain, made, between = site.node, site.operator, config.chain, options.between
    packed = pack_direct(options.conv, ConvConfig(config.block_n, made.conv))
    shape = ChainShape(replace(packed.shape, store=replace(between, channels=made.conv.reg_n)), options.window)
    constants = window_constants(chain.window, options.window.store)
    values: dict[str, int | NDArray[Any]] = {
        **{name: constants[name] for name in ("scale",) if name in constants},
        **{f"window_{name}": value for name, value in constants.items()},
        **packed.constants,
        "input": node.inputs[0],
        "mask": mask_of(between),
        "output": node.output,
    }
    arguments = tuple(values[name] for name in argument_names(shape))
    knobs = {**made.conv.knobs(), "window": made.window.knobs(), "parts": made.parts}
    predicted = cycles(site, options, config)
    return Lowered(
        "chain", ("chain", shape, made), schedule_chain(shape, made), arguments, knobs, predicted, chain.joined
    )


def cost(site: Site[Chain], once: Once) -> Cost:
    """Cycles of both kernels."""
    (between, window), source, target = chain_shapes(site), site.source, site.target
    conv, kept = site.operator.conv, site.plan.kept
    by_tap = kept is not None and kept.by_tap
    works = direct_works(conv.spec, kept, between, source, joined=True, by_tap=by_tap)
    config, chosen = best(once, conv, works, between, source, target)
    kernel, work = config.direct, works[config.block_n]
    assert kernel is not None, "a chain's convolution has pixels as the vector"

    def find() -> tuple[float, float]:
        results = 4.0 * window.spec.oc * window.store.flat
        windows = arithmetic_cycles(window, window_config(window, target), target)
        return chain_cycles(work, kernel, results=results, target=target), windows

    convolution, windows = once(("chain", work, kernel, window), find)
    return Cost("chain", convolution=convolution, windows=windows, chosen=chosen)


def chain_shapes(site: Site[Chain]) -> tuple[StoreShape, WindowShape]:
    """Where the convolution stores, in planes with the pitch of its input, and the window kernel that reads them."""
    node, chain, window = site.node, site.operator, site.operator.follower
    halo = (0, 0, 0, 0) if node.packs else window.padding
    layout = dealt if window.stride == (2, 2) and not node.packs else padded
    planes = layout(window.ih, window.iw, halo=halo, pitch=site.source.pitch)
    masked, gap = max(halo[1], halo[3]) > 0, chain.window.fill
    between = StoreShape(1, window.ic, planes, chain.conv.epilogue, masked=masked, gap=gap)
    store = site.store(chain.window.epilogue)
    return between, window_shape(
        chain.window, COMBINES[chain.window.combine], store, planes, site.target, packs=node.packs
    )


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


#: what is open in a chain
KNOBS = Knobs(key, default, space, cycles, numbers=chain_numbers, stored={"chain": JoinedConfig.read})
