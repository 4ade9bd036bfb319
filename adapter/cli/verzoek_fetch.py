# SPDX-License-Identifier: EUPL-1.2

"""`verzoek fetch`: collects a verzoek of which no notification is known."""

import asyncio
from datetime import datetime
from typing import Annotated, Final

import typer
from sqlalchemy import Connection

from adapter.cli.auditing import change, changed
from adapter.cli.names import sink_names
from adapter.cli.output import (
    WRONG_CONFIGURATION,
    WRONG_USE,
    fail,
    report,
)
from adapter.cli.settings import (
    DEFAULT_CONFIG,
    ConfigOption,
    JsonOption,
    NamedAuthorityOption,
    named_authority,
    opened_store,
    read_config,
    when_done,
)
from adapter.cli.verzoek_number import NumberArgument
from adapter.config import AuthorityConfig, Config
from adapter.config import Flow as ConfiguredFlow
from adapter.stam import collect_job
from adapter.store import (
    OPEN_DELIVERY,
    DeliveryState,
    Flow,
    NewDelivery,
    Origin,
    StoredDelivery,
    create_delivery,
    find_deliveries,
)
from adapter.work import utc_now

MAX_NUMBER: Final = 100
"""Longest verzoeknummer that is taken, as in a notification."""


def fetch(
    verzoeknummer: NumberArgument,
    authority: NamedAuthorityOption,
    sink: Annotated[
        str | None,
        typer.Option(
            "--sink",
            help="Where to; else the sink of the first route with flow stam.",
            metavar="NAME",
            autocompletion=sink_names,
        ),
    ] = None,
    config: ConfigOption = DEFAULT_CONFIG,
    as_json: JsonOption = False,
) -> None:
    """Collect a verzoek without a notification.

    From DSO-LV; it is then delivered as any other.

    Example: stam-adapter verzoek fetch 2023073100049 --authority voorbeeldstad
    """
    settings = read_config(config)
    target = _sink(authority, named_authority(settings, authority), sink)
    if not verzoeknummer.strip() or not verzoeknummer.isprintable() or len(verzoeknummer) > MAX_NUMBER:
        fail(f"{verzoeknummer!r} is no verzoeknummer; it is a number such as 2023073100048", WRONG_USE)
    asyncio.run(_fetch(settings, verzoeknummer.strip(), authority, target))
    report(
        f"{verzoeknummer} is collected for {authority} and delivered to {target}{when_done(settings)}",
        {"verzoeknummer": verzoeknummer.strip(), "authority": authority, "sink": target},
        as_json=as_json,
    )


def _sink(name: str, authority: AuthorityConfig, wanted: str | None) -> str:
    """The sink to deliver to; ends with the fix where that is not clear."""
    if authority.dso is None:
        fail(
            f"there is no place to collect from; add [authorities.{name}.dso] with its url",
            WRONG_CONFIGURATION,
        )
    known = ", ".join(sorted(authority.sinks)) or "none"
    if wanted is not None:
        if wanted not in authority.sinks:
            fail(f"authority {name} has no sink {wanted!r}; known: {known}", WRONG_USE)
        return wanted
    routed = next((route.sink for route in authority.routes if route.flow is ConfiguredFlow.STAM), None)
    if routed is None:
        fail(f"authority {name} has no route with flow stam; choose a --sink: {known}", WRONG_USE)
    return routed


async def _fetch(config: Config, verzoeknummer: str, authority: str, sink: str) -> None:
    async with opened_store(config) as db:
        waiting = await change(
            db,
            lambda conn: _create(conn, verzoeknummer, authority, sink, utc_now()),
            lambda waiting: (
                changed("verzoek.fetch", verzoeknummer, authority, sink=sink) if waiting is None else None
            ),
        )
    if waiting is None:
        return
    retry_it = f"use `stam-adapter verzoek retry {verzoeknummer}`"
    instead = retry_it if waiting.state is DeliveryState.PARKED else "wait for it"
    fail(f"{verzoeknummer} is on its way to {sink} already ({waiting.state}); {instead}")


def _create(
    conn: Connection, verzoeknummer: str, authority: str, sink: str, now: datetime
) -> StoredDelivery | None:
    """Make a delivery to be collected, unless one is on its way; that one."""
    for one in find_deliveries(conn, authority, verzoeknummer=verzoeknummer, sink=sink):
        if one.state in OPEN_DELIVERY:
            return one
    new = NewDelivery(
        authority=authority,
        sink=sink,
        flow=Flow.STAM,
        origin=Origin.OPERATOR,
        verzoeknummer=verzoeknummer,
    )
    create_delivery(conn, new, collect_job(authority, sink, verzoeknummer), now)
    return None
