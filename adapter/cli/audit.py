# SPDX-License-Identifier: EUPL-1.2

"""`audit`: who changed what, and who looked at what may be personal."""

import asyncio
from typing import Annotated, Any, Final

import typer

from adapter.cli.bulk import SinceOption, UntilOption, moment
from adapter.cli.lazy import new_app
from adapter.cli.output import Column, say, show_table
from adapter.cli.settings import (
    DEFAULT_CONFIG,
    AuthorityOption,
    ConfigOption,
    JsonOption,
    LimitOption,
    opened_store,
    read_config,
)
from adapter.config import Config
from adapter.store import AuditEntry, AuditFilter, AuditKind, AuditOutcome, AuditVia, find_audit
from adapter.views.texts import detail_line

app = new_app(
    help="""See who changed what, and who looked.

    Example: stam-adapter audit list --since 2d
    """,
    no_args_is_help=True,
)

_COLUMNS: Final = (
    Column("at", "at"),
    Column("actor", "who"),
    Column("via", "via"),
    Column("origin", "from"),
    Column("kind", "kind"),
    Column("action", "action"),
    Column("subject", "of"),
    Column("authority", "authority"),
    Column("outcome", "outcome"),
    Column("detail", "detail"),
)


@app.callback()
def _audit() -> None:
    pass


@app.command("list")
def list_entries(
    actor: Annotated[
        str | None, typer.Option("--who", help="Only of this user, sink (authority/sink) or system user.")
    ] = None,
    via: Annotated[AuditVia | None, typer.Option("--via", help="Only by this door.")] = None,
    kind: Annotated[AuditKind | None, typer.Option("--kind", help="Only changes, looks or logins.")] = None,
    action: Annotated[str | None, typer.Option("--action", help="Only this, as message.fetch.")] = None,
    subject: Annotated[
        str | None, typer.Option("--of", help="Only about this: a MessageId, CPAId, verzoeknummer or lane.")
    ] = None,
    authority: AuthorityOption = None,
    outcome: Annotated[AuditOutcome | None, typer.Option("--outcome", help="Only what ended so.")] = None,
    since: SinceOption = None,
    until: UntilOption = None,
    limit: LimitOption = 50,
    config: ConfigOption = DEFAULT_CONFIG,
    as_json: JsonOption = False,
) -> None:
    """List the audit trail, the newest first.

    Every change and every look at messages and verzoeken, through the admin listener, by a signed link or by a command;
    also what was refused.

    Example: stam-adapter audit list --kind look --of 20230731-0001@dso.example

    Example: stam-adapter audit list --outcome refused --since 2d
    """
    wanted = AuditFilter(
        actor=actor,
        via=via,
        kind=kind,
        action=action,
        subject=subject,
        authority=authority,
        outcome=outcome,
        since=moment("--since", since),
        before=moment("--until", until),
    )
    found = asyncio.run(_find(read_config(config), wanted, limit))
    show_table(_COLUMNS, [_describe(one, as_json=as_json) for one in found], as_json=as_json)
    if not found:
        say("nothing found")


async def _find(config: Config, wanted: AuditFilter, limit: int) -> list[AuditEntry]:
    async with opened_store(config) as db:
        return await db.read(find_audit, wanted, limit)


def _describe(one: AuditEntry, *, as_json: bool) -> dict[str, Any]:
    detail = dict(one.detail)
    return {
        "at": one.at,
        "actor": one.actor,
        "via": one.via,
        "origin": one.origin,
        "kind": one.kind,
        "action": one.action,
        "subject": one.subject,
        "authority": one.authority,
        "outcome": one.outcome,
        "detail": detail if as_json else detail_line(detail),
    }
