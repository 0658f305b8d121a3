"""The hash chain, without a database."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from controlplane.audit.domain.chain import GENESIS, Link, Payload, SealedLink, check, commitment_of, seal

Chain = list[tuple[SealedLink, Payload]]


def chain_of(texts: list[str]) -> Chain:
    payloads = [Payload(salt=bytes([i % 256]) * 16, document=text) for i, text in enumerate(texts)]
    links = [
        Link(
            entry_id=10 + i,
            recorded_at=datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=i),
            action="a.b",
            actor="system",
            target=f"x:{i}",
            correlation_id="",
            commitment=commitment_of(salt=payload.salt or b"", document=payload.document or ""),
        )
        for i, payload in enumerate(payloads)
    ]
    return list(zip(seal(links, seq=0, head=GENESIS), payloads, strict=True))


texts = st.lists(st.text(max_size=20), min_size=2, max_size=12)


@given(texts=texts)
def test_a_chain_as_sealed_holds(texts: list[str]) -> None:
    report = check(chain_of(texts))
    assert report.intact
    assert report.checked == report.head_seq == len(texts)


@given(texts=texts, split=st.integers(0, 12))
def test_sealing_in_parts_gives_the_same_chain(texts: list[str], split: int) -> None:
    whole = [sealed for sealed, _ in chain_of(texts)]
    links = [sealed.link for sealed in whole]
    first = seal(links[:split], seq=0, head=GENESIS)
    head = (first[-1].seq, first[-1].hash) if first else (0, GENESIS)
    assert [*first, *seal(links[split:], seq=head[0], head=head[1])] == whole


@given(
    texts=texts,
    where=st.integers(0, 11),
    what=st.sampled_from(["action", "actor", "target", "commitment", "hash", "drop", "swap"]),
)
def test_any_change_is_found_at_or_right_after_its_place(texts: list[str], where: int, what: str) -> None:
    chain = chain_of(texts)
    where %= len(chain) - 1
    sealed, payload = chain[where]
    if what == "drop":
        del chain[where]
    elif what == "swap":
        chain[where], chain[where + 1] = chain[where + 1], chain[where]
    elif what == "hash":
        chain[where] = (replace(sealed, hash="f" * 64), payload)
    else:
        changed: dict[str, Any] = {what: "other"}
        chain[where] = (replace(sealed, link=replace(sealed.link, **changed)), payload)
    report = check(chain)
    assert not report.intact
    assert report.checked == where


@given(texts=texts, where=st.integers(0, 11))
def test_an_erased_payload_leaves_the_chain_whole_and_a_changed_one_does_not(texts: list[str], where: int) -> None:
    chain = chain_of(texts)
    where %= len(chain)
    sealed, payload = chain[where]
    chain[where] = (sealed, Payload(salt=None, document=None))
    assert check(chain).erased == [sealed.link.entry_id]
    chain[where] = (sealed, replace(payload, document=(payload.document or "") + "x"))
    assert check(chain).reason == "its payload does not match the commitment"


def test_a_half_erased_payload_is_a_fault() -> None:
    chain = chain_of(["a", "b"])
    chain[0] = (chain[0][0], Payload(salt=b"x", document=None))
    assert check(chain).broken_seq == 1


def test_an_empty_chain_holds() -> None:
    assert check([]).head_hash == GENESIS
