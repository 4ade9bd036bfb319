# SPDX-License-Identifier: EUPL-1.2

import random
from datetime import UTC, datetime, timedelta

import pytest

from adapter.work import RetryPolicy

SECOND = timedelta(seconds=1)


def test_the_longest_wait_doubles_up_to_the_most() -> None:
    policy = RetryPolicy(first=10 * SECOND, max=60 * SECOND)
    assert [policy.longest(attempts) / SECOND for attempts in range(1, 6)] == [10, 20, 40, 60, 60]


def test_many_attempts_do_not_overflow() -> None:
    assert RetryPolicy().longest(10**9) == timedelta(hours=1)


def test_a_wait_is_drawn_between_nothing_and_the_longest() -> None:
    policy = RetryPolicy(chance=random.Random(1))
    waits = [policy.delay(3) for _ in range(500)]
    assert timedelta() <= min(waits) < 4 * SECOND
    assert 36 * SECOND < max(waits) <= 40 * SECOND


@pytest.mark.parametrize(("days", "given_up"), [(4, False), (5, True), (6, True)])
def test_a_job_is_given_up_when_its_time_has_passed(days: int, given_up: bool) -> None:
    first = datetime(2026, 3, 1, tzinfo=UTC)
    assert RetryPolicy().gives_up(first, first + timedelta(days=days)) is given_up


def test_a_job_that_was_never_tried_is_not_given_up() -> None:
    assert not RetryPolicy().gives_up(None, datetime.now(UTC))
