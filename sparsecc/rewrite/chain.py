"""Join convolutions with the depthwise convolution or pooling that reads their result."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import cast

from sparsecc.ir.graph import Chain, FusedConv, Graph, Node
from sparsecc.ir.operator import Window
from sparsecc.lower.joining import Joining


@dataclass(frozen=True, eq=False)
class Joined:
    """A graph with its chains, and for every pair the convolution's key and what was decided."""

    graph: Graph
    decided: Mapping[str, Joining]


def join_chains(graph: Graph, decide: Callable[[str, Chain], Joining]) -> Joined:
    """Join pairs of nodes.

    Parameters
    ----------
    graph : Graph
    decide : callable
        Given the convolution's key and the chain, whether to join.

    Before::

        y = conv(x)
        z = depthwise(y)        # the only reader of y

    After::

        z = chain(x)            # under the convolution's key
    """
    readers = Counter([*graph.outputs, *(tensor for node in graph.nodes for tensor in node.inputs)])
    writers = {node.output: node for node in graph.nodes}
    joined: dict[str, Node] = {}
    decided: dict[str, Joining] = {}
    for node in graph.nodes:
        producer = writers.get(node.inputs[0]) if node.inputs else None
        operator = _chain(producer, node) if producer is not None and readers[node.inputs[0]] == 1 else None
        if producer is None or operator is None:
            continue
        decided[producer.key] = decide(producer.key, operator)
        if decided[producer.key].joined:
            joined[node.key] = Node(producer.key, operator, producer.inputs, node.output)
    gone = {key for key, joining in decided.items() if joining.joined}
    nodes = tuple(joined.get(node.key, node) for node in graph.nodes if node.key not in gone)
    return Joined(replace(graph, nodes=nodes), decided)


def chain_origins(origins: Mapping[str, str], joined: Graph) -> dict[str, str]:
    """Key of a step -> node of the exported program: a chain's value is that of its window."""
    chains = {node.key: window for node in joined.nodes for window in node.operator.joined}
    kept = {key: node for key, node in origins.items() if key not in chains}
    return kept | {key: origins[window] for key, window in chains.items() if window in origins}


def _chain(producer: Node, node: Node) -> Chain | None:
    conv, window = producer.operator, node.operator
    if not isinstance(conv, FusedConv) or not conv.begins_chain or not window.ends_chain:
        return None
    return Chain(conv, cast(Window, window), node.key)
