# SPDX-License-Identifier: EUPL-1.2

"""What the commands that mend many things at once have in common: choosing, counting, asking, working in batches."""

import asyncio
import re
import sys
import time
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any, Final, NoReturn

import typer
from sqlalchemy import Connection

from adapter.cli.auditing import note
from adapter.cli.names import sink_names
from adapter.cli.output import WRONG_USE, Column, fail, say, show_json, show_table
from adapter.cli.progress import progress
from adapter.cli.settings import opened_store
from adapter.config import Config
from adapter.config.values import parse_duration
from adapter.store import AuditEntry, Batch, Choice, Database, Group, Repair, count_chosen, repair_batch

SinceOption = Annotated[
    str | None,
    typer.Option(
        "--since",
        help="Only from this moment on (UTC): a date, a date and time, or an age as 2d.",
        metavar="MOMENT",
    ),
]
UntilOption = Annotated[
    str | None, typer.Option("--until", help="Only before this moment; as --since.", metavar="MOMENT")
]
SinkOption = Annotated[
    str | None,
    typer.Option("--sink", help="Only those for this sink.", metavar="NAME", autocompletion=sink_names),
]
WithReasonOption = Annotated[
    str | None,
    typer.Option(
        "--with-reason",
        help="Only with this text in the reason that the list shows.",
        metavar="TEXT",
    ),
]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Only show what would be done.")]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask, also where it is more than one.")]

_AGE: Final = re.compile(r"\d+ ?[a-z]+")
_SHOWN: Final = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Manner:
    """How a bulk command does its work and speaks of it."""

    dry_run: bool
    yes: bool
    as_json: bool
    what: str
    done: str


def chosen(
    authority: str | None,
    sink: str | None,
    reason: str | None,
    since: str | None,
    until: str | None,
) -> Choice:
    """What the options of a bulk command choose; ends with exit code 2 where one cannot be read."""
    now = datetime.now(UTC)
    return Choice(
        authority=authority,
        sink=sink,
        reason=reason,
        since=_moment("--since", since, now),
        until=_moment("--until", until, now),
    )


def in_words(choice: Choice, state: StrEnum | None) -> dict[str, str]:
    """What a bulk command chose by, for the audit trail."""
    options = {**asdict(choice), "state": state}
    del options["authority"]
    return {f"by_{name}": str(value) for name, value in options.items() if value is not None}


def moment(option: str, text: str | None) -> datetime | None:
    """The moment that an option gives; ends with exit code 2 where it cannot be read."""
    return _moment(option, text, datetime.now(UTC))


def require_one(
    name: str, value: str | None, choosing: Collection[object], manner: Collection[object]
) -> None:
    """End with exit code 2 unless a command is either about one thing, by its name, or about several that are chosen.

    `choosing` are the options that choose several things, `manner` those that are for several things only.
    """
    if value is not None and any((*choosing, *manner)):
        fail(f"give a {name}, or options that choose several, not both", WRONG_USE)
    if value is None and not any(choosing):
        fail(
            f"give a {name}, or choose several with --authority, --state, --since, --until or --with-reason",
            WRONG_USE,
        )


async def mend(config: Config, repair: Repair, now: datetime, manner: Manner, told: AuditEntry) -> None:
    """Show what is chosen, ask where it must be asked, and change it batch by batch; `told` is for the audit
    trail, before the first change."""
    async with opened_store(config) as db:
        groups = await db.read(count_chosen, repair)
        total = sum(group.count for group in groups)
        if not manner.as_json:
            _show(groups, manner.what)
        _ask(total, manner)
        if total and not manner.dry_run:
            await note(db, replace(told, detail={**told.detail, "chosen": total}))
        changed = 0 if manner.dry_run else await _change(db, repair, now, total)
    if manner.as_json:
        show_json(_document(groups, total, changed, manner))
    elif not total:
        say("nothing is chosen; look with `list` and the same options")
    else:
        say(f"{total} would be {manner.done}" if manner.dry_run else f"{changed} {manner.done}")


async def _change(db: Database, repair: Repair, now: datetime, total: int) -> int:
    """Change all that was counted; rests between two batches, for a daemon writes too."""
    changed = 0
    after: int | None = 0
    with progress("changing them") as course:
        while after is not None:
            batch, seconds = await db.write(_timed, repair, after, now)
            changed, after = changed + batch.changed, batch.last
            course.to(changed, total)
            await asyncio.sleep(seconds)
    return changed


def _timed(conn: Connection, repair: Repair, after: int, now: datetime) -> tuple[Batch, float]:
    started = time.perf_counter()
    return repair_batch(conn, repair, after, now), time.perf_counter() - started


def _ask(total: int, manner: Manner) -> None:
    if manner.dry_run or manner.yes or total <= 1:
        return
    if not sys.stdin.isatty():
        fail(f"this is about {total}; say --yes to do it, or --dry-run to look only", WRONG_USE)
    typer.confirm(f"{total} will be {manner.done}. Go on?", abort=True, err=True)


def _show(groups: list[Group], what: str) -> None:
    columns = (
        Column("authority", "authority"),
        Column("what", what),
        Column("state", "state"),
        Column("count", "count", right=True),
        Column("reason", "reason"),
    )
    show_table(columns, map(asdict, groups[:_SHOWN]), as_json=False)
    if rest := groups[_SHOWN:]:
        say(f"and {sum(group.count for group in rest)} more, with {len(rest)} other reasons")


def _document(groups: list[Group], total: int, changed: int, manner: Manner) -> Mapping[str, Any]:
    return {
        "dryRun": manner.dry_run,
        "chosen": total,
        "changed": changed,
        "groups": [
            {manner.what if name == "what" else name: value for name, value in asdict(group).items()}
            for group in groups
        ],
    }


def _moment(option: str, text: str | None, now: datetime) -> datetime | None:
    if text is None:
        return None
    try:
        if _AGE.fullmatch(text.strip()):
            return now - parse_duration(text)
        found = datetime.fromisoformat(text.strip())
    except ValueError:
        _not_a_moment(option, text)
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)


def _not_a_moment(option: str, text: str) -> NoReturn:
    fail(
        f"{option} {text!r} is no moment; write 2026-03-01, 2026-03-01T12:00 (UTC, or with an offset as +01:00), or an "
        "age as 2d, 12h or 30m",
        WRONG_USE,
    )
