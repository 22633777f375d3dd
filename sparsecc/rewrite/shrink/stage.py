"""The stage: the same network without channels that nobody needs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from sparsecc._tvm import IRModule, quiet_if_unfinished, relax
from sparsecc.importer import Imported
from sparsecc.ir.channel_order import ChannelSelection
from sparsecc.rewrite.shrink import build
from sparsecc.rewrite.shrink.build import Made
from sparsecc.rewrite.shrink.flow import Flow
from sparsecc.rewrite.shrink.needed import Needed
from sparsecc.rewrite.shrink.rules import RULES, follow
from sparsecc.rewrite.shrink.steps import Step, shape_of, shuffles, steps_of


def shrink(imported: Imported) -> Imported:
    """Take out channels that are the same for every input, and those that nobody reads.

    Before, with filter 1 of ``a`` zero and its bias 0.5::

        y = relu(conv(x, a))            # 4 filters
        z = conv(y, b)                  # 1x1

    After::

        y = relu(conv(x, a[[0, 2, 3]]))
        z = conv(y, b[:, [0, 2, 3]])    # and its bias is larger by 0.5 * b[:, 1]

    What goes in one place goes in all that are tied to it: in the summands of a sum, in a depthwise convolution and
    what it reads, in parts of concatenations. The caller's tensors keep all channels, and so does what operators read
    that are not in :data:`~sparsecc.rewrite.shrink.rules.RULES`. A network without such channels is returned as it is.
    """
    if imported.keeps_channels:
        return imported
    steps = steps_of(imported)
    flow = Flow(imported.layers, shuffles(steps))
    inside = {var for shuffle in flow.orders.values() for var in shuffle.inside}
    for step in steps:
        if step.var not in inside:
            follow(flow, step)
    needed = Needed(flow)
    if all(needed.of(channels.atoms).all() for channels in flow.channels.values()):
        return imported
    return _rebuilt(imported, steps, flow, needed)


def _rebuilt(imported: Imported, steps: list[Step], flow: Flow, needed: Needed) -> Imported:
    functions = imported.module.functions
    main = next(function for function in functions if function.name_hint == "main")
    builder = relax.BlockBuilder(IRModule({gv: f for gv, f in functions.items() if not gv.same_as(main)}))
    made = Made(builder, flow, needed, imported.module)
    params = [relax.Var(param.name, param.ty) for param in imported.module[main].params]
    made.values.update(zip(imported.module[main].params, params, strict=True))
    inside = {
        inner
        for var, shuffle in flow.orders.items()
        if (kept := made.kept(var)) is not None and not kept.all()
        for inner in shuffle.inside
    }
    with quiet_if_unfinished(builder), builder.function("main", params):
        with builder.dataflow():
            for step in steps[:-1]:
                if step.var not in inside:
                    made.values[step.var] = builder.emit(_expression(made, step), name_hint=step.var.name)
            outputs = builder.emit_output(made.replaced(steps[-1].call))
        builder.emit_func_output(outputs)
    return replace(
        imported,
        module=relax.transform.DeadCodeElimination()(builder.get()),
        layers={key: made.layers.get(key, layer) for key, layer in imported.layers.items()},
        origins={made.values[var]: name for var, name in imported.origins.items() if var in made.values},
        selections=_selections(imported.origins, made),
    )


def _expression(made: Made, step: Step) -> Any:
    """A step over what is left of its operands; as it is where it has no channels that could go."""
    if isinstance(step.call, relax.Var):
        return made.values[step.call]
    if all(kept is None or kept.all() for kept in map(made.kept, (step.var, *step.tensors))):
        return build.same(made, step)
    return RULES[step.kind].rebuild(made, step)


def _selections(origins: Mapping[Any, str], made: Made) -> dict[str, ChannelSelection]:
    """What is left of the program's values."""
    found = {}
    for var, name in origins.items():
        kept = made.kept(var)
        if kept is not None and not kept.all():
            axis = made.flow.channels[var].axis
            found[name] = ChannelSelection(shape_of(var), axis, np.flatnonzero(kept).astype(np.int64))
    return found
