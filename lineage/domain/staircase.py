"""The history of a last-writer register as intervals of knowledge.

At any moment T the register holds the highest-ranked claim among those recorded at or before T. Sorted by ``known_from``,
the claims that ever ruled have rising ranks: a staircase. A claim that repeats the one before is a step of its own, since one
that comes late may belong between the two.
"""

from __future__ import annotations

from collections.abc import Iterable

from lineage.domain.delta import Claim


def staircase(claims: Iterable[Claim]) -> list[Claim]:
    """The claims that ever ruled, oldest first; each rules until the next one begins.

    Claims left out could never rule again whatever comes, so that a staircase grows in any grouping to the same one.
    """
    steps: list[Claim] = []
    for claim in sorted(claims, key=lambda item: (item.known_from, item.rank)):
        if steps and claim.rank <= steps[-1].rank:
            continue
        if steps and claim.known_from == steps[-1].known_from:
            # Both became known at the same moment: the lower one never ruled.
            steps[-1] = claim
        else:
            steps.append(claim)
    return steps
