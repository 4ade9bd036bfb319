# SPDX-License-Identifier: EUPL-1.2

"""The reference of the command line in docs/command-line.md, as the commands themselves tell it.

`python -m release.commands` writes it anew.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from typer.main import get_command

from adapter.cli.app import app

Words = tuple[str, ...]
"""The words of a command, as `("verzoek", "list")`."""

PAGE: Final = Path(__file__).resolve().parents[1] / "docs" / "command-line.md"
BEGIN: Final = "<!-- every command: written by `python -m release.commands` -->\n"
END: Final = "<!-- until here -->\n"

_KINDS: Final = {
    "str": "TEXT",
    "int": "NUMBER",
    "int range": "NUMBER",
    "float range": "NUMBER",
    "dir": "DIRECTORY",
}
_EVERYWHERE: Final = {"config", "as_json", "help"}


def walk() -> Iterator[tuple[Words, Any]]:
    """Every command and group with its words; that without words is the whole."""
    root = get_command(app)
    with root.make_context("stam-adapter", ["check"], resilient_parsing=True) as context:
        yield from _below((), root, context)


def _below(words: Words, command: Any, context: Any) -> Iterator[tuple[Words, Any]]:
    yield words, command
    for name in getattr(command, "commands", ()):
        yield from _below((*words, name), command.get_command(context, name), context)


EVERY: Final = dict(walk())
LEAVES: Final = {words: command for words, command in EVERY.items() if not hasattr(command, "commands")}


def reference() -> str:
    """Every command with its arguments, options and examples, in Markdown."""
    return "\n".join(line for words, command in LEAVES.items() for line in _chapter(words, command))


def written(page: str) -> str:
    """A page with the present reference in it."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{reference()}{END}{after}"


def _chapter(words: Words, command: Any) -> Iterator[str]:
    with command.make_context(words[-1], [], resilient_parsing=True) as context:
        yield from _lines(words, command, context)


def _lines(words: Words, command: Any, context: Any) -> Iterator[str]:
    arguments = [one for one in command.params if one.param_type_name == "argument"]
    options = [one for one in command.params if one.param_type_name == "option"]
    taken = "".join(f" {one.metavar}" if one.required else f" [{one.metavar}]" for one in arguments)
    yield f"### {' '.join(words)}"
    yield ""
    yield f"`stam-adapter {' '.join(words)}{taken}`"
    yield ""
    yield command.text
    yield ""
    rows = [(f"`{one.metavar}`", one.help) for one in arguments]
    rows += [(_named(one, context), _explained(one)) for one in options if one.name not in _EVERYWHERE]
    if rows:
        yield "| takes | what |"
        yield "| --- | --- |"
        yield from (f"| {name} | {text} |" for name, text in rows)
        yield ""
    usual = [
        f"`--{one.replace('as_', '')}`"
        for one in ("config", "as_json")
        if any(o.name == one for o in options)
    ]
    if usual:
        yield f"And {' and '.join(usual)}."
        yield ""
    yield "```text"
    yield from command.examples
    yield "```"
    yield ""


def _named(option: Any, context: Any) -> str:
    """The names of an option and what it takes."""
    names = ", ".join(f"`{name}`" for name in sorted(option.opts, key=len, reverse=True))
    if option.is_flag:
        return names
    kind = option.metavar or option.display_type(context).strip("<>").removeprefix("list[").removesuffix("]")
    if "|" in kind:
        return f"{names} {' or '.join(f'`{one}`' for one in kind.split('|'))}"
    return f"{names} {_KINDS.get(kind, kind)}"


def _explained(option: Any) -> str:
    text = (option.help or "").replace("|", "\\|")
    if option.required:
        return f"{text} Required."
    default = option.default
    if option.is_flag or default in (None, (), [], ""):
        return text
    return f"{text} Default: `{getattr(default, 'value', default)}`."


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text("utf-8")), "utf-8")
