"""Join convolutions with the depthwise convolution or pooling that reads their result."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import cast

from sparsecc.facts.graph import Chain, FusedConv, Graph, Node
from sparsecc.facts.operator import Window


def join_chains(graph: Graph, pays: Callable[[str, Chain], bool]) -> Graph:
    """Join pairs of nodes.

    Parameters
    ----------
    graph : Graph
    pays : callable
        Given the convolution's key and the chain, whether one kernel is faster than two.

    Before::

        y = conv(x)
        z = depthwise(y)        # the only reader of y

    After::

        z = chain(x)            # under the convolution's key
    """
    readers = Counter([*graph.outputs, *(tensor for node in graph.nodes for tensor in node.inputs)])
    writers = {node.output: node for node in graph.nodes}
    joined: dict[str, Node] = {}
    gone: set[str] = set()
    for node in graph.nodes:
        producer = writers.get(node.inputs[0]) if node.inputs else None
        operator = _chain(producer, node) if producer is not None and readers[node.inputs[0]] == 1 else None
        if producer is not None and operator is not None and pays(producer.key, operator):
            gone.add(producer.key)
            joined[node.key] = Node(producer.key, operator, producer.inputs, node.output)
    nodes = tuple(joined.get(node.key, node) for node in graph.nodes if node.key not in gone)
    return replace(graph, nodes=nodes)


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
