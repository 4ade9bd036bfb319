"""The commands and what they have in common."""

import sys
from typing import Annotated

import typer

from adapter.cli import demo, ping, run, simulate
from adapter.observe import installed_version

app = typer.Typer(
    name="stam-adapter",
    help="Receives verzoeknotificaties from DSO-LV over Digikoppeling, fetches the verzoek, hands it to a sink.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
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


app.command()(run.run)
app.command()(demo.demo)
app.command()(simulate.simulate)
app.command()(ping.ping)


def main() -> None:
    """The entry point: runs the command that the arguments name, and exits with its code."""
    try:
        app()
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        # whoever read our output has seen enough
        sys.stderr.close()
        sys.exit(0)
