# SPDX-License-Identifier: EUPL-1.2

"""The commands and what they have in common."""

from collections.abc import Mapping
from typing import Annotated, ClassVar

import typer

from adapter.cli.lazy import LazyCommand, LazyGroup, new_app
from adapter.observe import installed_version


class _Commands(LazyGroup):
    """Every command there is, in the order in which an operator meets them."""

    lazy: ClassVar[Mapping[str, LazyCommand]] = {
        "check": LazyCommand(
            "adapter.cli.check", "check", "Check configuration, keys, CPAs, database and sinks."
        ),
        "run": LazyCommand("adapter.cli.run", "run", "Run the daemon in the foreground."),
        "health": LazyCommand("adapter.cli.health", "health", "Ask the running daemon how it is."),
        "demo": LazyCommand("adapter.cli.demo", "demo", "Show the whole chain on this machine."),
        "simulate": LazyCommand("adapter.cli.simulate", "simulate", "Run a simulated DSO-LV."),
        "cpa": LazyCommand("adapter.cli.cpa", "app", "Read and manage CPA documents."),
        "connect": LazyCommand(
            "adapter.cli.connect", "connect", "Walk an authority through connecting to DSO-LV."
        ),
        "ping": LazyCommand("adapter.cli.ping", "ping", "Send a Ping under an agreement."),
        "message": LazyCommand("adapter.cli.message", "app", "Look into messages, and mend them."),
        "verzoek": LazyCommand("adapter.cli.verzoek", "app", "Look into verzoeken, and mend them."),
        "reconcile": LazyCommand(
            "adapter.cli.reconcile",
            "reconcile",
            "Ask DSO-LV for verzoeken of which the notification never arrived.",
        ),
        "lane": LazyCommand("adapter.cli.lane", "app", "Pause and resume what goes to a partner or sink."),
        "audit": LazyCommand("adapter.cli.audit", "app", "See who changed what, and who looked."),
        "inspect": LazyCommand("adapter.cli.inspect_file", "inspect", "Say what a file is."),
        "db": LazyCommand("adapter.cli.db", "app", "Manage the database."),
    }


app = new_app(
    name="stam-adapter",
    cls=_Commands,
    help="Receives verzoeknotificaties from DSO-LV over Digikoppeling, fetches the verzoek, hands it to a sink.",
    no_args_is_help=True,
    add_completion=True,
)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"stam-adapter {installed_version()}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Take the options that stand before a command."""


def main() -> None:
    """The entry point: runs the command that the arguments name, and exits with its code."""
    app()
