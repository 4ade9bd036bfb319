# SPDX-License-Identifier: EUPL-1.2

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from adapter.store import (
    Content,
    Database,
    FileSpool,
    MessageState,
    NewPayload,
    insert_message,
    set_message_state,
)
from tests.cli.conftest import Shop
from tests.messages import new_message

MARKER = b"BSN-999990019"


def old_message(shop: Shop, *, large: bool = False) -> Content:
    """A message that was processed 31 days ago, with a payload inline or in the spool."""
    then = datetime.now(UTC) - timedelta(days=31)

    async def fill(db: Database) -> Content:
        async with FileSpool(shop.state / "spool", inline_limit=10 if large else 10_000).writer() as writer:
            await writer.write(MARKER * 10)
            content = await writer.commit()
        message = new_message(then, cpa_id=shop.cpa_id, message_id=f"{then.timestamp()}@dso")
        row = await db.write(insert_message, message, None, then, payloads=(NewPayload(content),))
        await db.write(set_message_state, row, MessageState.RECEIVED, MessageState.PROCESSED, None, then)
        return content

    return shop.use(fill)


def spooled(shop: Shop, content: Content) -> Path:
    path = FileSpool(shop.state / "spool").path_of(content)
    assert path is not None
    return path


def found_in(state: Path) -> list[str]:
    return [path.name for path in state.rglob("*") if path.is_file() and MARKER in path.read_bytes()]


def test_a_dry_run_counts_and_removes_nothing(shop: Shop) -> None:
    path = spooled(shop, old_message(shop, large=True))
    old_message(shop)
    for _ in range(2):
        counts = shop.json("db", "purge", "--dry-run")
        assert counts["payloads"] == 2
        assert counts["messages"] == counts["timeline"] == counts["orphans"] == 0
    assert path.exists()


def test_what_was_kept_long_enough_is_removed(shop: Shop) -> None:
    path = spooled(shop, old_message(shop, large=True))
    old_message(shop)
    shop.message()
    assert found_in(shop.state)
    assert shop.json("db", "purge")["payloads"] == 2
    assert not path.exists()
    assert found_in(shop.state) == []
    assert not any(shop.json("db", "purge").values())


def test_for_people_only_what_was_removed_is_a_line(shop: Shop) -> None:
    old_message(shop)
    result = shop.run("db", "purge")
    assert result.exit_code == 0
    assert "payloads" in result.stdout
    assert MARKER.decode() not in result.stdout + result.stderr


def test_periods_of_an_authority_are_its_own(shop: Shop) -> None:
    old_message(shop)
    text = shop.world.config.read_text()
    shop.world.config.write_text(text + '\n[authorities.voorbeeldstad.retention]\npayloads = "60d"\n')
    assert shop.json("db", "purge", "--dry-run")["payloads"] == 0


def test_a_period_within_the_duplicate_window_is_warned_about(shop: Shop) -> None:
    text = shop.world.config.read_text()
    shop.world.config.write_text(text + '\n[retention]\npayloads = "1m"\n')
    lines = shop.cli("check", "--config", shop.world.config, "--json")
    assert '"retention"' in lines.stdout
    assert "make retention as long" in lines.stdout
    assert (
        shop.run(
            "cpa", "add", shop.world.directory / "cpa" / "voorbeeldstad.xml", "-a", "voorbeeldstad"
        ).exit_code
        == 0
    )
    assert "make retention as long" in shop.run("db", "purge", "--dry-run").stderr


@pytest.mark.parametrize(
    ("periods", "said"),
    [
        ('payloads = "401d"', "retention.payloads: is longer than messages"),
        ('timeline = "31d"', "retention.timeline: is shorter than messages"),
    ],
)
def test_periods_out_of_order_are_refused(shop: Shop, periods: str, said: str) -> None:
    text = shop.world.config.read_text()
    for table in ("[retention]", "[authorities.voorbeeldstad.retention]"):
        shop.world.config.write_text(f"{text}\n{table}\n{periods}\n")
        result = shop.run("db", "purge")
        assert result.exit_code == 78
        assert said in result.stderr


def test_verify_says_that_all_is_well(shop: Shop) -> None:
    old_message(shop, large=True)
    old_message(shop)
    assert shop.json("db", "verify") == {"checked": 2, "octets": 2 * len(MARKER * 10), "findings": []}


@pytest.mark.parametrize("how", ["missing", "truncated", "flipped", "orphan"])
def test_verify_finds_what_is_not_as_it_was_stored(shop: Shop, how: str) -> None:
    path = spooled(shop, old_message(shop, large=True))
    if how == "missing":
        path.unlink()
    elif how == "truncated":
        os.truncate(path, 3)
    elif how == "flipped":
        path.write_bytes(b"X" + path.read_bytes()[1:])
    else:
        path = path.with_name("0" * 32)
        path.write_bytes(MARKER)
        os.utime(path, (0, 0))
    result = shop.run("db", "verify")
    assert result.exit_code == 1
    assert str(path) in result.stdout
    assert "1 findings" in result.stderr
    assert MARKER.decode() not in result.stdout + result.stderr
    assert shop.run("db", "verify", "--json").exit_code == 1


def test_what_retention_removed_is_not_missing(shop: Shop) -> None:
    old_message(shop, large=True)
    shop.run("db", "purge")
    assert shop.json("db", "verify")["findings"] == []
