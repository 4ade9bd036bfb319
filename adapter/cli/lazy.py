# SPDX-License-Identifier: EUPL-1.2

"""Commands whose modules are imported when they are used.

The modules of the daemon, the simulator and the store take most of a second to import; `--help`, a shell completion
and a small command do not wait for those of other commands.
"""

import gc
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from typing import Any, ClassVar, Final

import typer
from typer.core import TyperGroup
from typer.main import get_command


@dataclass(frozen=True, slots=True)
class LazyCommand:
    """A command: its module, what it is called there (a function, or a `Typer` of sub-commands), and its help."""

    module: str
    attribute: str
    help: str

    def load(self, name: str) -> Any:
        """The command itself, as the library that parses command lines wants it."""
        with _without_collecting():
            found = getattr(import_module(self.module), self.attribute)
        if isinstance(found, typer.Typer):
            return get_command(found)
        single = new_app()
        single.command(name)(found)
        return get_command(single)


class LazyGroup(TyperGroup):
    """A group of lazy commands; a subclass names them."""

    lazy: ClassVar[Mapping[str, LazyCommand]] = {}

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        # place holders: by their names a mistyped command finds its nearest
        self.commands.update(dict.fromkeys(self.lazy, _PLACE_HOLDER))

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command with this name, imported now; None where there is none."""
        if cmd_name not in self.lazy:
            return super().get_command(ctx, cmd_name)
        if self.commands[cmd_name] is _PLACE_HOLDER:
            command = self.lazy[cmd_name].load(cmd_name)
            command.name = cmd_name
            self.commands[cmd_name] = command
        return self.commands[cmd_name]

    def format_commands(self, _ctx: Any, formatter: Any) -> None:
        """List the commands in a help text, without importing the lazy ones."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, self._help(name)) for name in self.commands])

    def _help(self, name: str) -> str:
        lazy = self.lazy.get(name)
        return lazy.help if lazy is not None else self.commands[name].get_short_help_str(100)


@contextmanager
def _without_collecting() -> Iterator[None]:
    """Let no garbage be looked for while modules are imported, which stay: that takes an eighth of the time."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def new_app(**settings: Any) -> typer.Typer:
    """A `Typer` with what all of ours have in common: plain help, and tracebacks as Python prints them."""
    return typer.Typer(
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        add_completion=settings.pop("add_completion", False),
        context_settings={"help_option_names": ["-h", "--help"]},
        **settings,
    )


def _nothing() -> None: ...


def _place_holder() -> Any:
    app = new_app()
    app.command("place-holder")(_nothing)
    return get_command(app)


_PLACE_HOLDER: Final = _place_holder()
