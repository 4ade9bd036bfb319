# SPDX-License-Identifier: EUPL-1.2

"""`verzoek retry|skip` and `message retry|resend` for many at once."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from typer.testing import CliRunner, Result

from adapter.cli import bulk
from adapter.cli.app import app
from adapter.store import (
    AgreementSource,
    Direction,
    JobKind,
    MessageKind,
    NewJob,
    find_deliveries,
    put_agreement,
)

NUMBERS = ("2023073100041", "2023073100042", "2023073100043")


@pytest.fixture
def parked(shop):
    """Three verzoeken that are parked, the last one of another authority."""
    for number, authority in zip(NUMBERS, ("voorbeeldstad", "voorbeeldstad", "elders"), strict=True):
        shop.delivery(authority, verzoeknummer=number)
        shop.park(JobKind.COLLECT, f"HTTP 500 about {number}" if number == NUMBERS[0] else "the disk is full")
    return shop


def states(shop) -> list[str]:
    return [one.state.value for one in reversed(shop.use(lambda db: db.read(find_deliveries)))]


@pytest.fixture
def on_a_terminal(monkeypatch: pytest.MonkeyPatch, shop) -> Callable[..., Result]:
    """Runs a command whose standard input is said to be a terminal, with this answer."""

    class Terminal:
        def isatty(self) -> bool:
            return True

    def run(answer: str, *args: str) -> Result:
        fake = type("Sys", (), {"stdin": Terminal()})
        monkeypatch.setattr(bulk, "sys", fake)
        return CliRunner().invoke(app, [*args, "--config", str(shop.world.config)], input=answer)

    return run


def test_a_dry_run_shows_a_table_and_changes_nothing(parked) -> None:
    result = parked.run("verzoek", "retry", "--authority", "voorbeeldstad", "--dry-run")
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        "authority\tsink\tstate\tcount\treason",
        "voorbeeldstad\tarchief\tparked\t1\tHTTP 500 about 2023073100041",
        "voorbeeldstad\tarchief\tparked\t1\tthe disk is full",
    ]
    assert "2 would be tried again as soon as the daemon runs" in result.stderr
    assert states(parked) == ["parked", "parked", "parked"]


def test_what_was_chosen_is_tried_again(parked) -> None:
    result = parked.run("verzoek", "retry", "--with-reason", "disk is full", "--yes")
    assert result.exit_code == 0
    assert "2 tried again" in result.stderr
    assert states(parked) == ["parked", "collecting", "collecting"]


def test_counts_come_as_one_document(parked) -> None:
    told = parked.json("verzoek", "skip", "--since", "2d", "--reason", "by hand", "--yes")
    assert (told["dryRun"], told["chosen"], told["changed"]) == (False, 3, 3)
    assert told["groups"][0] == {
        "authority": "elders",
        "sink": "archief",
        "state": "parked",
        "reason": "the disk is full",
        "count": 1,
    }
    assert states(parked) == ["skipped", "skipped", "skipped"]


def test_without_a_terminal_more_than_one_needs_a_yes(parked) -> None:
    result = parked.run("verzoek", "retry", "--state", "parked")
    assert result.exit_code == 2
    assert "this is about 3; say --yes" in result.stderr
    assert states(parked) == ["parked", "parked", "parked"]


def test_one_needs_no_yes(parked) -> None:
    assert parked.run("verzoek", "retry", "--authority", "elders").exit_code == 0
    assert states(parked) == ["parked", "parked", "collecting"]


@pytest.mark.parametrize(("answer", "code", "expected"), [("n\n", 1, "parked"), ("y\n", 0, "collecting")])
def test_on_a_terminal_it_is_asked(parked, on_a_terminal, answer: str, code: int, expected: str) -> None:
    result = on_a_terminal(answer, "verzoek", "retry", "--state", "parked")
    assert result.exit_code == code
    assert "3 will be tried again" in result.stderr
    assert states(parked) == [expected] * 3


@pytest.mark.parametrize(
    "arguments",
    [
        ("verzoek", "retry"),
        ("verzoek", "retry", "--yes"),
        ("verzoek", "retry", NUMBERS[0], "--since", "2d"),
        ("verzoek", "retry", NUMBERS[0], "--dry-run"),
        ("verzoek", "retry", "--state", "delivered"),
        ("verzoek", "retry", "--since", "yesterday"),
        ("verzoek", "retry", "--since", "2 weeks"),
        ("verzoek", "skip", "--reason", "x"),
        ("message", "resend"),
        ("message", "retry", "m1", "--authority", "elders"),
    ],
)
def test_what_is_not_clear_is_wrong_use(parked, arguments: tuple[str, ...]) -> None:
    result = parked.run(*arguments)
    assert result.exit_code == 2
    assert states(parked) == ["parked", "parked", "parked"]


def test_nothing_chosen_is_said_and_no_failure(parked) -> None:
    result = parked.run("verzoek", "retry", "--sink", "kluis")
    assert result.exit_code == 0
    assert "nothing is chosen" in result.stderr


def test_the_moments_of_a_period_are_utc_or_have_an_offset(parked) -> None:
    now = datetime.now(UTC)
    before = (now - timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M")
    assert parked.json("verzoek", "retry", "--until", before, "--dry-run")["chosen"] == 0
    assert parked.json("verzoek", "retry", "--since", before, "--dry-run")["chosen"] == 3
    far = f"{(now + timedelta(hours=1)).strftime('%Y-%m-%dT%H:%M')}+05:00"
    assert parked.json("verzoek", "retry", "--until", far, "--dry-run")["chosen"] == 0
    assert parked.json("verzoek", "retry", "--since", now.date().isoformat(), "--dry-run")["chosen"] == 3


def test_messages_that_were_not_routed_are_tried_again(shop) -> None:
    for number in range(3):
        shop.message(f"m{number}", job=NewJob(JobKind.ROUTE, "route"))
        shop.park(JobKind.ROUTE, "no route fits")
    told = shop.json("message", "retry", "--with-reason", "no route", "--yes")
    assert told["changed"] == 3
    assert {state for _, state, _ in shop.jobs()} == {"ready"}


def test_acknowledgments_of_a_period_are_sent_again(shop) -> None:
    now = datetime.now(UTC)
    shop.use(
        lambda db: db.write(
            put_agreement, "voorbeeldstad", shop.cpa_id, b"<cpa/>", AgreementSource.UPLOAD, now
        )
    )
    signal = {"direction": Direction.OUT, "kind": MessageKind.ACKNOWLEDGMENT}
    for number in range(3):
        shop.message(f"a{number}", **signal, expires_at=now + timedelta(days=1))
    shop.message("late", **signal, expires_at=now - timedelta(days=1))
    result = shop.run("message", "resend", "--since", "1h", "--yes")
    assert result.exit_code == 0
    assert "1 left alone: the partner waits for it no longer" in result.stderr
    assert "3 sent again" in result.stderr
    assert [kind for kind, _, _ in shop.jobs()] == ["send", "send", "send"]
