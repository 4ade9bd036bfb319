# SPDX-License-Identifier: EUPL-1.2

"""docs/logs.md has every action, and its walks are what a daemon writes."""

import re
from collections.abc import Iterator

import pytest

from tests.docs.actions import NAME, actions
from tests.docs.tables import ROOT, cells_of
from tests.docs.walking import Line

TEXT = (ROOT / "docs" / "logs.md").read_text("utf-8")
WALKS = dict(re.findall(r"<!-- walk: ([a-z-]+) -->\n```text\n(.*?)\n```", TEXT, re.DOTALL))

BY_ITSELF = {"crl.fetched"}
"""What the daemon does at its own time; only the walk of its start has that."""

MAY_DIFFER = {"database-away"}
"""Walks of which the lines come as often as it takes, and in any order."""


def documented() -> dict[str, set[str]]:
    rows = (cells_of(line) for line in TEXT.partition("## Every action")[2].splitlines() if "| `" in line)
    return {action.strip("`"): set(levels.split(", ")) for action, levels, _ in rows}


def test_every_action_is_documented_and_none_that_is_gone() -> None:
    assert sorted(actions()) == sorted(documented()), "docs/logs.md, Every action"


def test_every_action_is_logged_at_the_documented_level() -> None:
    known = documented()
    wrong = {name: levels for name, levels in actions().items() if not known[name] <= levels | {"info"}}
    assert wrong == {}


def test_an_action_is_a_noun_and_a_verb() -> None:
    assert [name for name in documented() if not NAME.fullmatch(name)] == []


def thread(lines: list[tuple[str, str]], *, sending: bool) -> list[str]:
    """The actions in order, of what is sent, or of all else: the two go on at the same time."""
    return [action for action, kind in lines if (kind == "send" or action.endswith(".sent")) is sending]


def of_run(lines: list[Line]) -> list[tuple[str, str]]:
    return [
        (line["action"], str(line.get("kind", ""))) for line in lines if not line["action"].startswith("log.")
    ]


def of_text(text: str) -> Iterator[tuple[str, str]]:
    for line in text.splitlines():
        action = re.search(r"\baction=(\S+)", line)
        kind = re.search(r"\bkind=(\S+)", line)
        assert action, line
        yield action[1], kind[1] if kind else ""


@pytest.mark.parametrize("name", sorted(WALKS))
def test_a_walk_is_what_a_daemon_writes(name: str, walks: dict[str, list[Line]]) -> None:
    told, written = list(of_text(WALKS[name])), of_run(walks[name])
    if name != "start":
        written = [one for one in written if one[0] not in BY_ITSELF]
    if name in MAY_DIFFER:
        certain = {"request.not_stored", "request.postponed", "worker.failed", "worker.recovered"}
        assert certain <= {action for action, _ in written}
        assert certain <= {action for action, _ in told}
        assert {action for action, _ in written} <= {action for action, _ in told}
    elif name == "start":
        assert sorted(told) == sorted(written)
    else:
        for sending in (True, False):
            assert thread(told, sending=sending) == thread(written, sending=sending)


def test_every_line_of_a_run_has_its_level_and_is_documented(walks: dict[str, list[Line]]) -> None:
    known = documented()
    for lines in walks.values():
        for line in lines:
            if not line["action"].startswith("log."):
                assert line["level"] in known[line["action"]], line


def test_every_line_about_a_message_says_which(walks: dict[str, list[Line]]) -> None:
    about = [line for line in walks["good"] if line["action"].startswith(("message.", "acknowledgment."))]
    assert about
    assert all({"message_id", "conversation_id", "cpa_id", "authority"} <= line.keys() for line in about)
