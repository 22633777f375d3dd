"""Which output channels form rows of blocks: the grouping that keeps the most norm when whole blocks are pruned."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from sparsecc.errors import UserError
from sparsecc.prune.checked import checked_choice, checked_count, checked_rate
from sparsecc.prune.rows import Rows, drop_lowest
from sparsecc.prune.select import share

#: how often blocks are picked anew for the current rows, from one start
_ROUNDS = 12
#: how often channels change places for the current choice of blocks, in a round
_SWAPS = 6
#: a round must gain this share of the total norm, or it is the last
_LEAST_GAIN = 1e-5
#: sets are compared on at most this many input channels, evenly spread
_COLUMNS = 256


@dataclass(frozen=True, eq=False)
class Grouping:
    """Rows of output channels, and what they keep.

    Attributes
    ----------
    order : torch.Tensor
        int64 ``(oc,)`` on the CPU; every ``n`` consecutive entries are the channels of a row, the last row may be
        shorter.
    kept : float
        Norm of the kept blocks as a share of the norm of all blocks, 0..1.
    """

    order: Tensor
    kept: float


def group_channels(norms: Tensor, n: int, sparsity: float, *, method: str = "cluster") -> Grouping:
    """Group the output channels of a conv group into rows of N.

    Parameters
    ----------
    norms : torch.Tensor
        float ``(oc, ic)``, norm of every kernel, at least 0; those of a block add up.
    n : int
        Channels of a row.
    sparsity : float
        Share of blocks that will be pruned, the lowest ones of all rows.
    method : str
        ``"none"``: channels as they are. ``"sort"``: by falling sum of norms. ``"cluster"``: channels that keep the
        same input channels, found from two starts, sorted order and pairs of pairs of similar channels: blocks are
        picked for the rows and channels change places between rows in turns, as in k-means with clusters of equal
        size. The best grouping seen is returned, so it never keeps less than ``"sort"``.

    Returns
    -------
    Grouping

    Raises
    ------
    UserError
        An argument is out of range, or ``norms`` is no matrix.
    """
    n = checked_count(n, where="group_channels: n")
    sparsity = checked_rate(sparsity, where="group_channels: sparsity")
    checked_choice(method, ("none", "sort", "cluster"), where="group_channels: method")
    if norms.dim() != 2 or not norms.numel():
        raise UserError(f"group_channels: norms of shape {tuple(norms.shape)}, expected (output, input channels)")
    norms = norms.detach().cpu().float()
    problem = _Problem(norms, n, share(sparsity, -(-norms.shape[0] // n) * norms.shape[1]))
    plain = torch.arange(norms.shape[0])
    if method == "none":
        return problem.grouping(plain)
    by_norm = norms.sum(dim=1).argsort(descending=True, stable=True)
    if method == "sort":
        return problem.grouping(by_norm)
    best = problem.grouping(by_norm)
    # a single row, rows of one channel, nothing pruned: nothing to choose
    if n == 1 or n >= norms.shape[0] or problem.pruned == 0:
        return best
    for start in (by_norm, _matched(problem, by_norm)):
        for found in _improved(problem, start):
            best = max(best, found, key=lambda grouping: grouping.kept)
    return best


@dataclass(frozen=True, eq=False)
class _Problem:
    """Norms ``(oc, ic)``, channels a row, blocks to prune."""

    norms: Tensor
    n: int
    pruned: int

    def kept_blocks(self, order: Tensor) -> Tensor:
        """Bool ``(rows, ic)``: the blocks that pruning leaves, by norm per channel of the row."""
        rows = Rows(self.n, order.unsqueeze(0))
        scores = rows.cut(self.norms.unsqueeze(0)).sum(dim=2)[0] / rows.sizes.unsqueeze(1)
        return drop_lowest(scores.flatten(), self.pruned).reshape(scores.shape)

    def threshold(self, order: Tensor) -> float:
        """Norm per channel that a block must have to be kept."""
        rows = Rows(self.n, order.unsqueeze(0))
        scores = rows.cut(self.norms.unsqueeze(0)).sum(dim=2)[0] / rows.sizes.unsqueeze(1)
        return float(scores.flatten().kthvalue(self.pruned).values)

    def grouping(self, order: Tensor) -> Grouping:
        """A grouping with the share of norm that it keeps."""
        kept = Rows(self.n, order.unsqueeze(0)).join(self.kept_blocks(order).unsqueeze(0))[0]
        total = float(self.norms.sum())
        return Grouping(order, float((self.norms * kept).sum()) / total if total else 1.0)


def _matched(problem: _Problem, order: Tensor) -> Tensor:
    """Join channels to pairs, pairs to fours and so on, each with what it loses the least norm with.

    A block survives when its norm per channel passes a threshold, so a set of channels is worth the sum over input
    channels of ``max(0, norm of the set - threshold * channels)``. Joined sets are worth less than both by themselves:
    that is the loss. What remains of N after halving, and channels that N does not divide, stay in the given order.
    """
    whole = order.numel() // problem.n * problem.n
    threshold = problem.threshold(order)
    sets = order[:whole].unsqueeze(1)
    while problem.n % (2 * sets.shape[1]) == 0 and sets.shape[0] > 1:
        size = sets.shape[1]
        norms = problem.norms[sets].sum(dim=1)
        first, second = _pairs(_losses(norms, threshold * size))
        sets = torch.cat([sets[first], sets[second]], dim=1)
        # sets of similar norm stay neighbours
        sets = sets[problem.norms[sets].sum(dim=(1, 2)).argsort(descending=True, stable=True)]
    return torch.cat([sets.flatten(), order[whole:]])


def _losses(norms: Tensor, threshold: float) -> Tensor:
    """What every pair of sets loses when it is joined, ``(sets, sets)``; sets hold ``(ic,)`` norms each.

    With ``x`` and ``y`` above or below the threshold that is ``max(0, x) + max(0, y) - max(0, x + y)``, or half of
    ``|x| + |y| - |x + y|``: a city-block distance, which PyTorch has fast code for.
    """
    step = -(-norms.shape[1] // _COLUMNS)
    above = (norms - threshold)[:, ::step].contiguous()
    alone = above.abs().sum(dim=1)
    return (alone.unsqueeze(1) + alone - torch.cdist(above, -above, p=1.0)) / 2


def _pairs(losses: Tensor) -> tuple[Tensor, Tensor]:
    """Pair all of an even number of sets: again and again those that are each other's best."""
    losses = losses.clone().fill_diagonal_(torch.inf)
    left = torch.arange(losses.shape[0])
    firsts, seconds = [], []
    while left.numel():
        partner = losses.argmin(dim=1)
        mutual = partner[partner] == torch.arange(left.numel())
        first = mutual & (partner > torch.arange(left.numel()))
        if not bool(first.any()):
            # equal losses in a ring: take one pair out of it
            first = torch.arange(left.numel()) == 0
            mutual = first | (torch.arange(left.numel()) == partner[0])
        firsts.append(left[first])
        seconds.append(left[partner[first]])
        rest = ~mutual
        left, losses = left[rest], losses[rest][:, rest]
    return torch.cat(firsts), torch.cat(seconds)


def _improved(problem: _Problem, order: Tensor) -> Iterator[Grouping]:
    """Pick blocks for the rows, move channels to the rows whose blocks suit them, and so on while it helps."""
    last = -1.0
    for _ in range(_ROUNDS):
        found = problem.grouping(order)
        yield found
        if found.kept <= last + _LEAST_GAIN:
            return
        last = found.kept
        order = _swapped(problem, order)


def _swapped(problem: _Problem, order: Tensor) -> Tensor:
    """Let channels change places between rows as long as that keeps more norm with the blocks that are kept now."""
    kept = problem.kept_blocks(order).to(problem.norms.dtype)
    gain_in_row = problem.norms @ kept.T
    least = 1e-7 * float(problem.norms.mean()) * problem.norms.shape[1]
    order = order.clone()
    row_of_place = torch.arange(order.numel()) // problem.n
    for _ in range(_SWAPS):
        # what each place's channel would keep in the row of every other place
        there = gain_in_row[order][:, row_of_place]
        move = there - there.diagonal().unsqueeze(1)
        gain, partner = (move + move.T).max(dim=1)
        # pairs that are each other's best partner do not disturb one another: all of them swap at once
        mutual = (partner[partner] == torch.arange(order.numel())) & (gain > least)
        if not bool(mutual.any()):
            break
        order = torch.where(mutual, order[partner], order)
    return order
