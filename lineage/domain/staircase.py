"""The history of a last-writer register as intervals of knowledge.

At any moment T the register holds the highest-ranked claim among those recorded at or before T. Sorted by ``known_from``,
the claims that ever ruled have rising ranks: a staircase. Neighbours with the same value are one step, whose rank is the
highest of them.
"""

from __future__ import annotations

from collections.abc import Iterable

from lineage.domain.delta import Claim, Life


def staircase(claims: Iterable[Claim]) -> list[Claim]:
    """The claims that ever ruled, oldest first; each rules until the next one begins."""
    steps: list[Claim] = []
    for claim in sorted(claims, key=lambda item: (item.known_from, item.rank)):
        if not steps:
            steps.append(claim)
            continue
        top = steps[-1]
        if claim.rank <= top.rank:
            continue
        if claim.edge_set == top.edge_set:
            steps[-1] = Claim(top.known_from, claim.rank, top.edge_set)
        elif claim.known_from == top.known_from:
            # Both became known at the same moment: the lower one never ruled.
            steps[-1] = claim
            if len(steps) > 1 and steps[-2].edge_set == claim.edge_set:
                below = steps[-2]
                steps[-2:] = [Claim(below.known_from, claim.rank, claim.edge_set)]
        else:
            steps.append(claim)
    return steps


def life_history(lives: Iterable[Life]) -> list[Life]:
    """The ends and returns that ever ruled, oldest first, beginning with an end: before the first one a dataset is there."""
    lives = list(lives)
    values = sorted({(life.alive, life.renamed_to or 0) for life in lives})
    claims = [Claim(life.known_from, life.rank, values.index((life.alive, life.renamed_to or 0))) for life in lives]
    steps = [
        Life(step.known_from, step.rank, values[step.edge_set][0], values[step.edge_set][1] or None)
        for step in staircase(claims)
    ]
    first_end = next((index for index, step in enumerate(steps) if not step.alive), len(steps))
    return steps[first_end:]
