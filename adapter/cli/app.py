# SPDX-License-Identifier: EUPL-1.2

"""The commands and what they have in common."""

import os
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Annotated, Any, ClassVar, Final

import typer

from adapter.cli.document import one_document, usage_told
from adapter.cli.lazy import LazyCommand, LazyGroup, new_app
from adapter.observe import installed_version

COMPLETES: Final = "_STAM_ADAPTER_COMPLETE"
"""The environment variable by which a shell asks for completions, as the library calls it."""

_RUN, _CONNECT, _MEND = "Run it", "Connect it", "Look into it, and mend it"
_TRY, _ABOUT = "Try it", "About this command"


class _Commands(LazyGroup):
    """Every command there is, in the order in which an operator meets them."""

    lazy: ClassVar[Mapping[str, LazyCommand]] = {
        "check": LazyCommand(
            "adapter.cli.check", "check", "Check configuration, keys, CPAs, database and sinks.", _RUN
        ),
        "run": LazyCommand("adapter.cli.run", "run", "Run the daemon in the foreground.", _RUN),
        "health": LazyCommand("adapter.cli.health", "health", "Ask the running daemon how it is.", _RUN),
        "db": LazyCommand("adapter.cli.db", "app", "Manage the database.", _RUN),
        "cpa": LazyCommand("adapter.cli.cpa", "app", "Read and manage CPA documents.", _CONNECT),
        "connect": LazyCommand(
            "adapter.cli.connect", "connect", "Walk an authority through connecting to DSO-LV.", _CONNECT
        ),
        "ping": LazyCommand("adapter.cli.ping", "ping", "Send a Ping under an agreement.", _CONNECT),
        "verzoek": LazyCommand("adapter.cli.verzoek", "app", "Look into verzoeken, and mend them.", _MEND),
        "message": LazyCommand("adapter.cli.message", "app", "Look into messages, and mend them.", _MEND),
        "lane": LazyCommand(
            "adapter.cli.lane", "app", "Pause and resume what goes to a partner or sink.", _MEND
        ),
        "reconcile": LazyCommand(
            "adapter.cli.reconcile",
            "reconcile",
            "Ask DSO-LV for verzoeken of which the notification never arrived.",
            _MEND,
        ),
        "notify": LazyCommand("adapter.cli.notify", "app", "See whether people can be told.", _MEND),
        "audit": LazyCommand("adapter.cli.audit", "app", "See who changed what, and who looked.", _MEND),
        "inspect": LazyCommand("adapter.cli.inspect_file", "inspect", "Say what a file is.", _MEND),
        "demo": LazyCommand("adapter.cli.demo", "demo", "Show the whole chain on this machine.", _TRY),
        "simulate": LazyCommand("adapter.cli.simulate", "simulate", "Run a simulated DSO-LV.", _TRY),
        "completion": LazyCommand(
            "adapter.cli.completion", "completion", "Print what lets a shell complete commands.", _ABOUT
        ),
        "version": LazyCommand("adapter.cli.version", "version", "Show the version, and of what.", _ABOUT),
    }

    def main(self, args: Sequence[str] | None = None, *more: Any, **settings: Any) -> Any:
        """Run the command that the arguments name."""
        given = sys.argv[1:] if args is None else list(args)
        with one_document(asked="--json" in given):
            return super().main(given, *more, **settings)

    def _main_shell_completion(self, *given: Any, **settings: Any) -> None:
        """Answer a shell that asks for completions: which shells there are, the library only knows when told to."""
        if COMPLETES in os.environ:
            import_module("typer._completion_classes").completion_init()
        super()._main_shell_completion(*given, **settings)

    def make_context(self, *given: Any, **settings: Any) -> Any:
        """Read the options before the command."""
        with usage_told():
            return super().make_context(*given, **settings)

    def invoke(self, ctx: Any) -> Any:
        """Read the rest, and do it."""
        with usage_told():
            return super().invoke(ctx)


app = new_app(
    name="stam-adapter",
    cls=_Commands,
    help="""Receives verzoeknotificaties from DSO-LV over Digikoppeling, fetches the verzoek, hands it to a sink.

    The configuration is the file of --config or STAM_ADAPTER_CONFIG, else stam-adapter.toml in this directory, else
    /etc/stam-adapter/stam-adapter.toml. Exit codes: 0 done, 1 it failed, 2 wrong use, 78 wrong configuration.

    Example: stam-adapter check --config stam-adapter.toml

    Example: stam-adapter verzoek show 2023073100048

    Example: stam-adapter verzoek list --help
    """,
    no_args_is_help=True,
)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"stam-adapter {installed_version()}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            callback=_show_version,
            is_eager=True,
            help="Show the version; `stam-adapter version` shows of what.",
        ),
    ] = False,
) -> None:
    pass


def main() -> None:
    """The entry point: runs the command that the arguments name, and exits with its code."""
    app()
