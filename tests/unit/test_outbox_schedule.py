"""Back-off and ticks."""

from hypothesis import given
from hypothesis import strategies as st

from controlplane.outbox.domain.backoff import LIMIT_S, MAX_ATTEMPTS, delay_s, is_dead
from controlplane.outbox.domain.schedule import next_tick


def test_the_wait_doubles_up_to_an_hour() -> None:
    assert [delay_s(n) for n in (1, 2, 3, 4)] == [1, 2, 4, 8]
    assert delay_s(60) == LIMIT_S


def test_a_message_is_given_up_at_the_last_attempt() -> None:
    assert not is_dead(MAX_ATTEMPTS - 1)
    assert is_dead(MAX_ATTEMPTS)


@given(started=st.integers(0, 10**6), every=st.integers(1, 1000), passed=st.integers(0, 10**6))
def test_ticks_keep_to_the_grid_and_skip_what_was_missed(started: int, every: int, passed: int) -> None:
    now = started + passed
    due = next_tick(started=started, every_s=every, now=now)
    assert now < due <= now + every
    assert (due - started) % every == 0
