# SPDX-License-Identifier: EUPL-1.2

"""Every command says what it does and shows examples, and those that need no partner are done as they stand there."""

import json
import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.main import get_command
from typer.testing import Result

from adapter.cli.app import app
from adapter.simulator import World
from release.commands import EVERY, LEAVES, PAGE, Words

NEEDS_MORE = {
    ("run",): "does not end by itself",
    ("simulate",): "does not end by itself",
    ("demo",): "is tried as a whole",
    ("health",): "needs a daemon",
    ("ping",): "needs a partner",
    ("connect",): "needs a partner",
    ("reconcile",): "needs a partner",
    ("cpa", "publish"): "needs a partner",
    ("db", "restore"): "needs a backup",
}
FINDS = {("cpa", "check"), ("db", "verify")}
"""Commands that find something in what these tests make, and say so by their exit code."""
SILENT = {("run",), ("completion",)}
"""Commands that give no JSON document: one logs, one gives a script."""
WITHOUT_CONFIG = ("--url", "http://127.0.0.1:8080")
EXAMPLES = [(path, example) for path, command in LEAVES.items() for example in command.examples]
CPA_ID = "Verzoeknotificatie_00000004000000001000_00000001001100415000_1"


@pytest.mark.parametrize("path", EVERY, ids=" ".join)
def test_a_command_says_what_it_does_and_shows_an_example(cli: Callable[..., Result], path: Words) -> None:
    shown = cli(*path, "--help").stdout
    text, _, examples = shown.partition("\nExamples:\n")
    assert EVERY[path].text.split(".")[0].split("\n")[0][:60] in " ".join(text.split())
    lines = [line.strip() for line in examples.splitlines()]
    assert lines == list(EVERY[path].examples) != []
    assert all(" ".join(("stam-adapter", *path)) in line for line in lines)
    assert all(parameter.help for parameter in EVERY[path].params)


@pytest.mark.parametrize("path", [path for path in LEAVES if len(path) == 1], ids=" ".join)
def test_the_list_of_commands_says_the_same_as_the_command(path: Words) -> None:
    listed = get_command(app).lazy[path[0]].help.rstrip(".")  # type: ignore[attr-defined]
    said = LEAVES[path].text
    assert listed.split(",")[0].split(":")[0] in said


def arguments(path: Words, example: str) -> list[str]:
    """The words behind the command, in the directory of the test instead of those of a server."""
    typed = re.sub(r"^source <\((.*)\)$|(.*?) > .*$", lambda found: found[1] or found[2], example)
    for there, here in (("/etc/stam-adapter/", ""), ("/srv/", ""), (CPA_ID, "CPA_ID")):
        typed = typed.replace(there, here)
    name, *words = shlex.split(typed)
    assert name == "stam-adapter"
    assert tuple(words[: len(path)]) == path
    return words[len(path) :]


@pytest.mark.parametrize(("path", "example"), EXAMPLES, ids=[example for _, example in EXAMPLES])
def test_an_example_is_one_that_the_command_takes(
    path: Words, example: str, made: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(made)
    with LEAVES[path].make_context(path[-1], arguments(path, example)) as context:
        assert context.params.keys() == {parameter.name for parameter in LEAVES[path].params}


@pytest.mark.parametrize(
    ("path", "example"),
    [(path, example) for path, example in EXAMPLES if path not in NEEDS_MORE],
    ids=[example for path, example in EXAMPLES if path not in NEEDS_MORE],
)
def test_an_example_works_and_gives_one_json_document(
    cli: Callable[..., Result], made_once: World, place: Path, path: Words, example: str
) -> None:
    words = [word.replace("CPA_ID", made_once.authorities[0].cpa_id) for word in arguments(path, example)]
    if {"--since", "--until"} & {*words} and path[-1] != "list":
        words.append("--dry-run")
    speaks = path not in SILENT
    result = cli(*path, *words, *(["--json"] if speaks and "--json" not in words else []))
    assert result.exit_code == (1 if path in FINDS else 0), result.stderr
    if speaks:
        said = json.loads(result.stdout)
        assert {key for one in (said if isinstance(said, list) else [said]) for key in one} <= documented(
            path
        )


def documented(path: Words) -> set[str]:
    """The keys of the JSON document of a command, as its reference has them."""
    (row,) = re.findall(rf"^\| {' '.join(path)} \| (.*) \|$", PAGE.read_text("utf-8"), re.MULTILINE)
    return set(re.findall(r"`(\w+)`", row))


@pytest.mark.parametrize(
    "path",
    [path for path, one in LEAVES.items() if {"as_json", "config"} <= {p.name for p in one.params}],
    ids=" ".join,
)
def test_what_goes_wrong_is_the_json_document(cli: Callable[..., Result], place: Path, path: Words) -> None:
    (place / "stam-adapter.toml").write_text("environment = test")
    words = [word for word in arguments(path, LEAVES[path].examples[0]) if word not in WITHOUT_CONFIG]
    result = cli(*path, *words, "--json")
    assert result.exit_code == 78
    said = json.loads(result.stdout)
    problem = said[0]["detail"] if path == ("check",) else said["error"]["problems"][0]
    assert problem.startswith("stam-adapter.toml:1:15: is not valid TOML")
    assert path == ("check",) or said["error"]["exitCode"] == 78


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("verzoek", "show"), "Missing argument 'NUMMER'."),
        (("verzoek", "list", "--colour"), "No such option: --colour"),
        (("verzoke", "list"), "No such command 'verzoke'. Did you mean 'verzoek'?"),
        (("verzoek", "list", "--state", "gone"), "Invalid value for '--state': 'gone' is not one of"),
        (("verzoek", "retry"), "give a verzoeknummer, or choose several with --authority"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_a_wrong_use_is_told_in_json_and_on_standard_error(
    cli: Callable[..., Result], words: tuple[str, ...], said: str
) -> None:
    result = cli(*words, "--json")
    assert result.exit_code == 2
    error = json.loads(result.stdout)["error"]
    assert error["exitCode"] == 2
    assert error["problems"][0].startswith(said)
    assert said in " ".join(result.stderr.split())


def test_without_json_nothing_of_an_error_goes_to_standard_output(cli: Callable[..., Result]) -> None:
    assert cli("verzoek", "list", "--colour").stdout == ""


def test_every_command_with_something_to_say_says_it_in_json_too() -> None:
    without = {path for path, one in LEAVES.items() if all("--json" not in p.opts for p in one.params)}
    assert without == SILENT


def test_an_option_is_called_the_same_in_every_command() -> None:
    short: dict[str, set[str]] = {}
    names: dict[str, set[tuple[str, ...]]] = {}
    for one in LEAVES.values():
        for parameter in one.params:
            for option in parameter.opts:
                if option.startswith("-") and not option.startswith("--"):
                    short.setdefault(option, set()).add(parameter.name)
            if parameter.name in {
                "config",
                "authority",
                "as_json",
                "since",
                "until",
                "limit",
                "dry_run",
                "yes",
            }:
                names.setdefault(parameter.name, set()).add(tuple(parameter.opts))
    assert all(len(found) == 1 for found in short.values()), short
    assert all(len(found) == 1 for found in names.values()), names
