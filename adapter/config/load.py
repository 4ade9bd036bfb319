# SPDX-License-Identifier: EUPL-1.2

"""Reading a configuration: the file, the files of authorities beside it, the environment, then all checks."""

import json
from collections.abc import Mapping
from pathlib import Path

from pydantic import ValidationError

from adapter.config.checks import check_rules
from adapter.config.lines import Key
from adapter.config.problems import ConfigProblem, Origin, explain
from adapter.config.settings import Config
from adapter.config.syntax import Table, read_table

PREFIX = "STAM_ADAPTER__"
"""How the names of the environment variables begin that set something."""

AUTHORITIES = "authorities.d"
"""The directory beside the main file with one file per authority."""


def load_config(path: Path, environ: Mapping[str, str]) -> Config:
    """Read and check a configuration.

    Beside the file, each ``authorities.d/<name>.toml`` is one authority. A variable
    ``STAM_ADAPTER__EBMS__LISTEN`` sets ``ebms.listen``, whatever the file says; letter case does not
    matter, and a list is written as JSON. All relative paths, also those in ``authorities.d``, are relative
    to the directory of `path`.

    Args:
        path: the TOML file.
        environ: environment variables, as `os.environ`.

    Raises:
        ConfigProblem: with everything that is wrong, not only the first fault.

    """
    main = path.absolute()
    data = read_table(path)
    files = _add_authorities(data, path)
    variables = override(data, environ)
    origin = Origin(path, files, variables)
    try:
        config = Config.model_validate(data, context={"base": main.parent, "origin": origin})
    except ValidationError as error:
        details = error.errors(include_url=False)
        raise ConfigProblem(origin.problem(*explain(detail, Config)) for detail in details) from error
    problems = [origin.problem(key, text) for key, text in check_rules(config)]
    if problems:
        raise ConfigProblem(problems)
    return config


def _add_authorities(data: Table, path: Path) -> dict[str, Path]:
    """Put each file of ``authorities.d`` in the data as an authority; return the file of each."""
    files = authority_files(path)
    if not files:
        return files
    authorities = data.setdefault("authorities", {})
    if not isinstance(authorities, dict):
        return {}
    twice = sorted(files.keys() & authorities.keys())
    problems = [said_twice(name, files[name], path) for name in twice]
    for name, file in files.items():
        try:
            authorities[name] = read_authority(name, file)
        except ConfigProblem as problem:
            problems += problem.problems
    if problems:
        raise ConfigProblem(problems)
    return files


def authority_files(path: Path) -> dict[str, Path]:
    """The file of each authority that has one of its own, beside the main file.

    What begins with a dot is of an editor that is at work, and no authority. Raises ConfigProblem where the directory
    is there, and cannot be read: that is not the same as an empty one.
    """
    directory = path.parent / AUTHORITIES
    try:
        found = sorted(directory.iterdir())
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise ConfigProblem(
            [f"{directory}: cannot be read ({error.strerror}); check the path and its rights"]
        ) from error
    return {file.stem: file for file in found if file.suffix == ".toml" and not file.name.startswith(".")}


def read_authority(name: str, file: Path) -> Table:
    """Read the file of one authority, which is its table. Raises ConfigProblem."""
    table = read_table(file)
    if "authorities" not in table:
        return table
    fix = f"this file is the table [authorities.{name}] itself; leave `authorities.{name}` out of its headers"
    raise ConfigProblem([Origin(file, {}, {}).problem(("authorities",), fix)])


def said_twice(name: str, file: Path, main: Path) -> str:
    """What to say of an authority that has a file, and stands in the main file too."""
    return f"{file}: authority {name} is also in {main}; keep one of the two"


def override(data: Table, environ: Mapping[str, str]) -> dict[Key, str]:
    """Put the values of environment variables in the data; return the variable of each key."""
    variables: dict[Key, str] = {}
    problems: list[str] = []
    for name in sorted(environ):
        if not name.upper().startswith(PREFIX):
            continue
        key = _set(data, name[len(PREFIX) :].lower().split("__"), _value(environ[name]))
        if key is None:
            problems.append(
                f"environment variable {name}: names no place in the configuration; join the names of "
                f"tables and key by two underscores, as {PREFIX}EBMS__LISTEN, and give a list as a whole"
            )
        else:
            variables[key] = name
    if problems:
        raise ConfigProblem(problems)
    return variables


def _set(table: Table, parts: list[str], value: object) -> Key | None:
    """Set a value, using keys that are there in whatever letter case.

    Returns: The key that now comes from outside the file: that of the value, or of the first table made for
    it. None where there is no such place.

    """
    if not all(parts):
        return None
    key: list[str] = []
    made: Key | None = None
    *tables, last = parts
    for part in tables:
        name = _existing(table, part)
        key.append(name)
        if name not in table and made is None:
            made = tuple(key)
        inner: object = table.setdefault(name, {})
        if not isinstance(inner, dict):
            return None
        table = inner
    name = _existing(table, last)
    table[name] = value
    return made if made is not None else (*key, name)


def _existing(table: Table, part: str) -> str:
    return next((name for name in table if name.lower() == part), part)


def _value(text: str) -> object:
    # Only what is JSON counts as a list or table: "[::1]:8080" is an address. Numbers and truth values stay
    # text, which the typed fields read.
    if not text.lstrip().startswith(("[", "{")):
        return text
    try:
        value: object = json.loads(text)
    except ValueError:
        return text
    return value
