# SPDX-License-Identifier: EUPL-1.2

"""`notify`: see whether people can be told."""

import asyncio
from typing import Annotated, Any, Final

import typer

from adapter.cli.lazy import new_app
from adapter.cli.names import channel_names
from adapter.cli.output import FAILED, WRONG_USE, Column, fail, say, show_table
from adapter.cli.progress import progress
from adapter.cli.settings import DEFAULT_CONFIG, ConfigOption, JsonOption, fail_configuration, read_config
from adapter.config import Config, ConfigProblem
from adapter.notify import Channel, ChannelProblem, composer_of, make_channels
from adapter.work import utc_now

app = new_app(
    help="""See whether people can be told.

    Example: stam-adapter notify test
    """,
    no_args_is_help=True,
)

_COLUMNS: Final = (
    Column("channel", "channel"),
    Column("type", "type"),
    Column("result", "result"),
    Column("detail", "detail"),
)


@app.callback()
def _notify() -> None:
    pass


@app.command("test")
def send_test(
    config: ConfigOption = DEFAULT_CONFIG,
    only: Annotated[
        str | None,
        typer.Option(
            "--channel",
            help="Only this one, by its name in the configuration.",
            metavar="NAME",
            autocompletion=channel_names,
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Send a test notification by each channel of [notifications], and show what became of it.

    No daemon is needed, and none is disturbed. Exit code 0: every server took it; 1: one did not.

    Example: stam-adapter notify test
    """
    settings = read_config(config)
    if not settings.notifications:
        say("the configuration has no channels; add [notifications.<name>]")
    if only is not None and only not in settings.notifications:
        known = ", ".join(sorted(settings.notifications)) or "none"
        fail(f"the configuration has no channel {only!r}; known: {known}", WRONG_USE)
    try:
        channels = make_channels(settings, utc_now)
    except ConfigProblem as problem:
        fail_configuration(problem)
    chosen = [channel for name, channel in channels.items() if only in {None, name}]
    with progress("sending"):
        rows = asyncio.run(_send(settings, chosen))
    show_table(_COLUMNS, rows, as_json=as_json)
    failures = sum(row["result"] != "sent" for row in rows)
    if failures:
        fail(f"{failures} of {len(rows)} channels failed", FAILED)


async def _send(config: Config, channels: list[Channel]) -> list[dict[str, Any]]:
    return list(await asyncio.gather(*(_send_one(config, channel) for channel in channels)))


async def _send_one(config: Config, channel: Channel) -> dict[str, Any]:
    notification = composer_of(config, channel.name).test(utc_now())
    try:
        await channel.send(notification)
        result, detail = "sent", notification.subject
    except ChannelProblem as problem:
        result, detail = "failed", str(problem)
    finally:
        await channel.close()
    return {"channel": channel.name, "type": channel.options.type, "result": result, "detail": detail}
