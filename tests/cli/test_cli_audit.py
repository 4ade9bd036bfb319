# SPDX-License-Identifier: EUPL-1.2

"""What commands leave in the audit trail, and `stam-adapter audit list`."""

import os
import pwd
import socket
from pathlib import Path
from typing import Any

import pytest

from adapter.store import JobKind, NewJob
from tests.cli.conftest import NUMBER, Shop

ME = pwd.getpwuid(os.getuid()).pw_name


def entries(shop: Shop, *options: str) -> list[tuple[Any, ...]]:
    """Kind, action, subject and authority, the oldest first."""
    return [
        (one["kind"], one["action"], one["subject"], one["authority"])
        for one in reversed(shop.json("audit", "list", *options))
    ]


def test_a_look_at_a_message_or_a_verzoek_is_kept_with_who_and_where(shop: Shop) -> None:
    shop.message()
    shop.delivery()
    shop.json("message", "show", "m1@dso")
    shop.run("verzoek", "show", NUMBER)
    assert entries(shop) == [
        ("look", "message.show", "m1@dso", "voorbeeldstad"),
        ("look", "verzoek.show", NUMBER, "voorbeeldstad"),
    ]
    (last, _) = shop.json("audit", "list")
    assert (last["actor"], last["via"], last["origin"]) == (ME, "command", socket.gethostname())
    assert last["outcome"] == "done"


def test_who_used_sudo_is_told(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUDO_USER", "jan")
    shop.run("lane", "pause", "dso:voorbeeldstad", "--reason", "maintenance")
    (entry,) = shop.json("audit", "list")
    assert entry["detail"] == {"sudo_user": "jan"}


def test_every_change_by_a_command_is_kept(shop: Shop, tmp_path: Path) -> None:
    shop.message(job=NewJob(JobKind.ROUTE, "route:voorbeeldstad"))
    shop.park(JobKind.ROUTE)
    cpa = shop.world.authorities[0].cpa_path
    lane = "dso:voorbeeldstad"
    for command in (
        ("message", "retry", "m1@dso"),
        ("verzoek", "fetch", NUMBER, "--authority", "voorbeeldstad"),
        ("verzoek", "skip", NUMBER, "--reason", "by hand"),
        ("lane", "pause", lane, "--reason", "maintenance"),
        ("lane", "resume", lane),
        ("cpa", "add", cpa, "--authority", "voorbeeldstad"),
        ("cpa", "withdraw", shop.cpa_id),
        ("db", "purge"),
        ("db", "backup", tmp_path / "backup"),
    ):
        result = shop.run(*command)
        assert result.exit_code == 0, (command, result.stderr)
    assert entries(shop) == [
        ("change", "message.retry", "m1@dso", None),
        ("change", "verzoek.fetch", NUMBER, "voorbeeldstad"),
        ("change", "verzoek.skip", NUMBER, "voorbeeldstad"),
        ("change", "lane.pause", lane, None),
        ("change", "lane.resume", lane, None),
        ("change", "cpa.put", shop.cpa_id, "voorbeeldstad"),
        ("change", "cpa.withdraw", shop.cpa_id, "voorbeeldstad"),
        ("change", "db.purge", None, None),
        ("look", "db.backup", str(tmp_path / "backup"), None),
    ]


def test_what_changed_nothing_is_no_change(shop: Shop) -> None:
    shop.delivery()
    assert shop.run("verzoek", "retry", NUMBER).exit_code == 1
    assert shop.run("message", "show", "nobody@dso").exit_code == 1
    assert (
        shop.run("verzoek", "skip", "--authority", "voorbeeldstad", "--reason", "x", "--dry-run").exit_code
        == 0
    )
    assert entries(shop) == []


def test_a_change_of_many_is_kept_with_what_chose_them(shop: Shop) -> None:
    shop.delivery()
    shop.park(JobKind.COLLECT)
    shop.run("verzoek", "retry", "--authority", "voorbeeldstad", "--with-reason", "disk", "--yes")
    (entry,) = shop.json("audit", "list")
    assert (entry["action"], entry["authority"], entry["subject"]) == ("verzoek.retry", "voorbeeldstad", None)
    assert entry["detail"] == {"by_reason": "disk", "chosen": 1}


def test_the_list_is_narrowed_by_its_options(shop: Shop) -> None:
    shop.message()
    shop.json("message", "show", "m1@dso")
    shop.run("lane", "pause", "dso:voorbeeldstad", "--reason", "maintenance")
    look = ("look", "message.show", "m1@dso", "voorbeeldstad")
    for options in (
        ("--kind", "look"),
        ("--of", "m1@dso"),
        ("--action", "message.show"),
        ("-a", "voorbeeldstad"),
    ):
        assert entries(shop, *options) == [look]
    assert len(entries(shop, "--who", ME, "--via", "command", "--since", "1h", "--outcome", "done")) == 2
    assert entries(shop, "--who", "niemand") == entries(shop, "--until", "2020-01-01") == []


def test_the_list_is_a_table_for_people(shop: Shop) -> None:
    shop.run("lane", "pause", "dso:voorbeeldstad", "--reason", "maintenance")
    lines = shop.run("audit", "list").stdout.splitlines()
    assert lines[0].split("\t")[:3] == ["at", "who", "via"]
    assert "lane.pause" in lines[1]
