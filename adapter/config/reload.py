# SPDX-License-Identifier: EUPL-1.2

"""Reading the configuration again while it is in use: its authorities are renewed, each by itself.

What is wrong with one authority keeps that one as it was, and no other. Everything that is not of an authority holds
until a restart; that it changed is found too, so that it can be said.
"""

import copy
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from adapter.config.authority import AuthorityConfig
from adapter.config.checks import check_rules
from adapter.config.files import Mark, mark_of
from adapter.config.load import (
    AUTHORITIES,
    PREFIX,
    authority_files,
    override,
    read_authority,
    said_twice,
)
from adapter.config.problems import ConfigProblem, Origin, explain, show_key
from adapter.config.settings import Config
from adapter.config.syntax import Table, read_table
from adapter.config.values import Name, freeze

Problems = Mapping[str, tuple[str, ...]]
"""What is wrong, by the name of the authority."""


@dataclass(frozen=True, slots=True)
class Renewal:
    """What was found when the configuration was read again.

    `config` is the one in use with other authorities; one with problems is in it as it was, or not at all where it is
    new. `origin` tells where a fault is. `main` are problems outside the authorities, with which a restart would fail;
    `restart` are the keys there that changed, and hold after a restart only.
    """

    config: Config
    broken: Problems
    origin: Origin
    main: tuple[str, ...] = ()
    restart: tuple[str, ...] = ()


@dataclass(slots=True)
class _Found:
    """The tables as they are in the files now, and what could not be read."""

    main: Table | None
    tables: dict[str, Table] = field(default_factory=dict)
    files: dict[str, Path] = field(default_factory=dict)
    broken: dict[str, tuple[str, ...]] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


class _Fragment(BaseModel):
    """The authorities alone: the same keys, and the same errors, as in the whole."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    authorities: Annotated[Mapping[Name, AuthorityConfig], AfterValidator(freeze)] = Field(
        default_factory=dict
    )


class ConfigFiles:
    """The files of one configuration, read again and again after the start. Not for several threads at once.

    Args:
        path: the main file.
        environ: the environment variables, which stay what they are for as long as the process runs.

    """

    def __init__(self, path: Path, environ: Mapping[str, str]) -> None:
        self._path = path
        self._environ = {name: value for name, value in environ.items() if name.upper().startswith(PREFIX)}
        self._read: dict[Path, tuple[Mark | None, Table]] = {}
        self._files = self._named() or {}

    def marks(self) -> Mapping[Path, Mark | None]:
        """The marks of every file there is now. Blocking."""
        return {path: mark_of(path) for path in (self._path, *(self._named() or {}).values())}

    def _named(self) -> dict[str, Path] | None:
        """The files there are; None where that cannot be seen."""
        try:
            return authority_files(self._path)
        except ConfigProblem:
            return None

    def renew(self, current: Config, *, thorough: bool = False) -> Renewal:
        """Read what changed, or with `thorough` everything, and see what `current` becomes by it. Blocking."""
        if thorough:
            self._read.clear()
        found = self._find(current)
        data = {**(found.main or {}), "authorities": found.tables}
        try:
            if self._environ:
                data = copy.deepcopy(data)
            variables = override(data, self._environ)
        except ConfigProblem as problem:
            return Renewal(current, {}, Origin(self._path, {}, {}), problem.problems)
        origin = Origin(self._path, found.files, variables)
        wanted = _keep(current, found.broken, {})
        for name, table in data.pop("authorities").items():
            if name in found.broken:
                continue
            try:
                fragment = _Fragment.model_validate(
                    {"authorities": {name: table}}, context={"base": current.base}
                )
            except ValidationError as error:
                found.broken[name] = _explained(error, origin)
                wanted |= _keep(current, (name,), {})
            else:
                before, now = current.authorities.get(name), fragment.authorities[name]
                wanted[name] = before if before is not None and before == now else now
        self._files = found.files
        config, clashes = settle(current, wanted, origin)
        main, restart = self._judge_main(current, config, data if found.main is not None else None, origin)
        broken = {**found.broken, **clashes}
        return Renewal(config, broken, origin, (*found.problems, *main), restart)

    def _find(self, current: Config) -> _Found:
        """Read the tables; where a place cannot be read at all, its authorities stay as they are."""
        found = _Found(None)
        try:
            found.main = self._table(self._path)
        except ConfigProblem as problem:
            found.problems += problem.problems
        inline = (found.main or {}).get("authorities", {})
        if found.main is None or not isinstance(inline, dict):
            # which it has now, nobody can tell
            found.broken |= {
                name: tuple(found.problems) for name in current.authorities if name not in self._files
            }
            inline = {}
        found.tables.update(inline)
        self._find_files(found)
        return found

    def _find_files(self, found: _Found) -> None:
        try:
            found.files = authority_files(self._path)
            self._check_directory()
        except ConfigProblem as problem:
            found.problems += problem.problems
            found.broken |= dict.fromkeys(self._files, problem.problems)
            found.files = dict(self._files)
            return
        for name, file in found.files.items():
            if name in found.tables:
                del found.tables[name]
                found.broken[name] = (said_twice(name, file, self._path),)
                continue
            found.broken.pop(name, None)
            try:
                found.tables[name] = self._table(file)
            except ConfigProblem as problem:
                found.broken[name] = problem.problems

    def _check_directory(self) -> None:
        """Raises ConfigProblem where the directory is gone: whose files went with it was hardly withdrawn."""
        directory = self._path.parent / AUTHORITIES
        if self._files and not directory.is_dir():
            raise ConfigProblem(
                [f"{directory}: is not there any more; put it back (to withdraw all in it, leave it empty)"]
            )

    def _table(self, path: Path) -> Table:
        mark = mark_of(path)
        known = self._read.get(path)
        if known is None or known[0] != mark or mark is None:
            name = path.stem if path != self._path else None
            table = read_authority(name, path) if name is not None else read_table(path)
            known = self._read[path] = (mark, table)
        return known[1]

    def _judge_main(
        self, current: Config, config: Config, data: Table | None, origin: Origin
    ) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The problems outside the authorities, and what changed there."""
        if data is None:
            return (), ()
        try:
            main = Config.model_validate(data, context={"base": current.base})
        except ValidationError as error:
            return _explained(error, origin), ()
        whole = main.model_copy(update={"authorities": config.authorities})
        problems = [
            origin.problem(key, text) for key, text in check_rules(whole) if key[:1] != ("authorities",)
        ]
        return tuple(problems), tuple(_changes(current, main))


def settle(
    current: Config, wanted: Mapping[str, AuthorityConfig], origin: Origin
) -> tuple[Config, dict[str, tuple[str, ...]]]:
    """The configuration with these authorities, without those that would clash, and why those are left as they were.

    Of two that clash, the one that is as it was has the older rights.
    """
    refused: dict[str, tuple[str, ...]] = {}
    put_off: dict[str, AuthorityConfig] = {}
    while faults := _faults(_with(current, wanted, origin), current, origin):
        refused |= faults
        put_off |= {name: wanted[name] for name in faults}
        wanted = _keep(current, faults, wanted)
    for name, one in put_off.items():  # what it clashed with may be refused itself
        trial = {**wanted, name: one}
        if not _faults(_with(current, trial, origin), current, origin):
            wanted = trial
            del refused[name]
    return _with(current, wanted, origin), refused


def _with(current: Config, wanted: Mapping[str, AuthorityConfig], origin: Origin) -> Config:
    """The configuration with these authorities, those that are as they were first: of two that clash, the later one is
    at fault.
    """
    same = {name: one for name, one in wanted.items() if current.authorities.get(name) is one}
    return current.with_authorities({**same, **wanted}, origin)


def _faults(config: Config, current: Config, origin: Origin) -> dict[str, tuple[str, ...]]:
    """What is wrong with the authorities that are other than now."""
    faults: dict[str, tuple[str, ...]] = {}
    for key, text in check_rules(config):
        name = str(key[1]) if key[0] == "authorities" else ""
        if name in config.authorities and config.authorities[name] is not current.authorities.get(name):
            faults[name] = (*faults.get(name, ()), origin.problem(key, text))
    return faults


def _keep(
    current: Config, names: Collection[str], wanted: Mapping[str, AuthorityConfig]
) -> dict[str, AuthorityConfig]:
    """The wanted authorities with these as they are now, or left out where they are new."""
    rest = {name: one for name, one in wanted.items() if name not in names}
    return rest | {name: current.authorities[name] for name in names if name in current.authorities}


def without(
    current: Config, config: Config, refused: Problems, origin: Origin
) -> tuple[Config, dict[str, tuple[str, ...]]]:
    """What `config` is when these authorities stay as they were after all; and what cannot change then either."""
    return settle(current, _keep(current, refused, config.authorities), origin)


def _explained(error: ValidationError, origin: Origin) -> tuple[str, ...]:
    return tuple(origin.problem(*explain(detail, Config)) for detail in error.errors(include_url=False))


def _changes(current: Config, main: Config) -> Iterator[str]:
    """The keys outside the authorities that are other than those in use, as ``[table] key``."""
    for section in Config.model_fields:
        before, now = getattr(current, section), getattr(main, section)
        if section == "authorities" or before == now:
            continue
        if isinstance(before, BaseModel):
            for key in type(before).model_fields:
                if getattr(before, key) != getattr(now, key):
                    yield f"[{show_key((section,))}] {key}"
        else:
            yield section
