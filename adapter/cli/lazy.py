# SPDX-License-Identifier: EUPL-1.2

"""Commands whose modules are imported when they are used.

The modules of the daemon, the simulator and the store take most of a second to import; `--help`, a shell completion
and a small command do not wait for those of other commands.
"""

import gc
import inspect
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from typing import Any, ClassVar, Final

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

_EXAMPLE: Final = "Example: "


@dataclass(frozen=True, slots=True)
class LazyCommand:
    """A command: its module, what it is called there (a function, or a `Typer` of sub-commands), its help, and the
    heading below which the list of commands has it.
    """

    module: str
    attribute: str
    help: str
    panel: str = "Commands"

    def load(self, name: str) -> Any:
        """The command itself, as the library that parses command lines wants it."""
        with _without_collecting():
            found = getattr(import_module(self.module), self.attribute)
        if isinstance(found, typer.Typer):
            return get_command(found)
        single = new_app()
        single.command(name)(found)
        return get_command(single)


class _WithExamples:
    """A command or group whose help ends with examples: the paragraphs of its text that begin so."""

    help: str | None

    @property
    def examples(self) -> tuple[str, ...]:
        """Each as it is typed."""
        return tuple(text.removeprefix(_EXAMPLE) for text in self._paragraphs() if text.startswith(_EXAMPLE))

    @property
    def text(self) -> str:
        """The help without the examples."""
        return "\n\n".join(text for text in self._paragraphs() if not text.startswith(_EXAMPLE))

    def format_help_text(self, _ctx: Any, formatter: Any) -> None:
        """Write the help without the examples."""
        formatter.write_paragraph()
        with formatter.indentation():
            formatter.write_text(self.text)

    def format_epilog(self, _ctx: Any, formatter: Any) -> None:
        """Write the examples, each on one line, to be copied."""
        with formatter.section("Examples"):
            for example in self.examples:
                formatter.write(f"{'':>{formatter.current_indent}}{example}\n")

    def _paragraphs(self) -> list[str]:
        text = inspect.cleandoc(self.help or "")
        return [" ".join(paragraph.split()) for paragraph in text.split("\n\n")]


class Command(_WithExamples, TyperCommand):
    """A command, with examples in its help."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the options, each with what it takes in our words, where the library would write a type of Python."""
        for option in self.params:
            if option.metavar and option.param_type_name == "option":
                vars(option)["display_type_rich"] = lambda ctx, shown=option.metavar: shown  # noqa: ARG005
        super().format_options(ctx, formatter)


class LazyGroup(_WithExamples, TyperGroup):
    """A group of commands, with examples in its help; a subclass names those that are lazy."""

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
        listed = [(name, self._listed(name)) for name in self.commands]
        for panel in dict.fromkeys(panel for _, (panel, _) in listed):
            with formatter.section(panel):
                formatter.write_dl([(name, text) for name, (its, text) in listed if its == panel])

    def _listed(self, name: str) -> tuple[str, str]:
        """The heading for a command in the list, and its help there."""
        lazy = self.lazy.get(name)
        if lazy is not None:
            return lazy.panel, lazy.help
        return "Commands", self.commands[name].get_short_help_str(100)


@contextmanager
def _without_collecting() -> Iterator[None]:
    """Let no garbage be looked for while modules are imported, which stay: that takes an eighth of the time."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


class _App(typer.Typer):
    """A `Typer` whose commands show examples."""

    def command(self, name: str | None = None, **settings: Any) -> Any:
        """Make a command of the function below."""
        return super().command(name, **{"cls": Command, **settings})


def new_app(**settings: Any) -> typer.Typer:
    """A `Typer` with what all of ours have in common: plain help, examples, and tracebacks as Python prints them."""
    return _App(
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        add_completion=False,
        cls=settings.pop("cls", LazyGroup),
        context_settings={"help_option_names": ["-h", "--help"]},
        **settings,
    )


def _nothing() -> None: ...


def _place_holder() -> Any:
    app = new_app()
    app.command("place-holder")(_nothing)
    return get_command(app)


_PLACE_HOLDER: Final = _place_holder()
