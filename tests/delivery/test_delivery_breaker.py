# SPDX-License-Identifier: EUPL-1.2

"""The circuit breaker of a sink."""

from datetime import UTC, datetime, timedelta

import pytest

from adapter.delivery import Breaker, BreakerOptions, BreakerState

SECOND = timedelta(seconds=1)
LIMIT = 4


class Clock:
    def __init__(self) -> None:
        self.now = datetime(2024, 1, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def breaker(clock: Clock) -> Breaker:
    return Breaker(BreakerOptions(failures=3, rest=10 * SECOND, longest=35 * SECOND), clock)


def fail(breaker: Breaker, times: int) -> list[bool]:
    return [breaker.failed() for _ in range(times)]


def test_a_sink_that_fails_so_often_in_a_row_is_left_in_peace(breaker: Breaker) -> None:
    assert fail(breaker, 3) == [False, False, True]
    assert (breaker.state, breaker.room(LIMIT)) == (BreakerState.OPEN, 0)


def test_an_answer_in_between_begins_the_count_again(breaker: Breaker) -> None:
    fail(breaker, 2)
    assert not breaker.succeeded()
    assert fail(breaker, 2) == [False, False]
    assert breaker.state is BreakerState.CLOSED


def test_after_one_failure_deliveries_go_one_at_a_time_until_one_succeeds(breaker: Breaker) -> None:
    assert breaker.room(LIMIT) == LIMIT
    fail(breaker, 1)
    assert breaker.room(LIMIT) == 1
    breaker.succeeded()
    assert breaker.room(LIMIT) == LIMIT


def test_after_its_rest_it_is_tried_with_one_delivery(breaker: Breaker, clock: Clock) -> None:
    fail(breaker, 3)
    clock.now += 10 * SECOND
    assert (breaker.state, breaker.room(LIMIT)) == (BreakerState.TRYING, 1)


def test_when_that_succeeds_all_is_well_again(breaker: Breaker, clock: Clock) -> None:
    fail(breaker, 3)
    clock.now += 10 * SECOND
    assert breaker.succeeded()
    assert breaker.room(LIMIT) == LIMIT
    assert fail(breaker, 2) == [False, False]


def test_when_that_fails_it_rests_twice_as_long_up_to_the_longest(breaker: Breaker, clock: Clock) -> None:
    fail(breaker, 3)
    for seconds in (10, 20, 35, 35):
        assert breaker.until == clock.now + seconds * SECOND
        clock.now += seconds * SECOND
        assert breaker.until is None
        assert breaker.failed()


def test_what_was_under_way_when_the_rest_began_does_not_lengthen_it(breaker: Breaker, clock: Clock) -> None:
    fail(breaker, 3)
    until = breaker.until
    clock.now += SECOND
    assert fail(breaker, 5) == [False] * 5
    assert breaker.until == until


def test_a_wait_that_the_sink_asks_for_begins_at_the_first_failure(breaker: Breaker, clock: Clock) -> None:
    assert breaker.failed(60 * SECOND)
    assert breaker.until == clock.now + 60 * SECOND


def test_a_shorter_wait_that_is_asked_for_meanwhile_does_not_end_it_sooner(
    breaker: Breaker, clock: Clock
) -> None:
    breaker.failed(60 * SECOND)
    assert not breaker.failed(SECOND)
    assert breaker.until == clock.now + 60 * SECOND
