# SPDX-License-Identifier: EUPL-1.2

"""The independent checker: what the partner believes, what the store says and what the sinks hold, compared.

It reads the database by SQL of its own and the disk by itself: nothing of the adapter that it judges is used to judge
it. It is to be asked when everything has settled: no daemon runs, and no job waited.
"""

import hashlib
import json
import re
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, NamedTuple

import asyncpg

Row = Mapping[str, Any]
Contents = tuple[str, ...]
"""The SHA-256 of every file of a delivery but its manifest, sorted."""

MANIFEST = "manifest.json"
_KEY = re.compile(r"[0-9a-f]{32}")
_QUERIES = {
    "messages": "SELECT authority, message_id, state FROM message"
    " WHERE direction = 'in' AND kind = 'business'",
    "remembered": "SELECT authority, message_id FROM received_id",
    "deliveries": "SELECT d.id, d.authority, d.flow, d.state, d.reason, d.verzoeknummer, d.volgnummer, m.message_id"
    " FROM delivery d LEFT JOIN message m ON m.id = d.message",
    "jobs": "SELECT id, kind, state, subject, reason FROM job WHERE kind <> 'reconcile'",
    "contents": "SELECT spool_key, sha256 FROM payload WHERE spool_key IS NOT NULL"
    " UNION SELECT spool_key, sha256 FROM delivery_file WHERE spool_key IS NOT NULL",
}


class Identity(NamedTuple):
    """What may be delivered once: a verzoek with its volgnummer (flow stam), or a message."""

    authority: str
    name: str


@dataclass(frozen=True, slots=True)
class Believed:
    """A message as its sender knows it: what must be delivered of it, and whether it was acknowledged.

    `verzoeknummer` where it announces a verzoek (its volgnummer with it), None where its payloads are delivered as
    they are. Several messages may announce one verzoek: that is delivered once.
    """

    message_id: str
    authority: str
    contents: Contents
    verzoeknummer: str | None = None
    volgnummer: str = "000"
    acknowledged: bool = False

    @property
    def identity(self) -> Identity:
        return identity(self.authority, self.message_id, self.verzoeknummer, self.volgnummer)


@dataclass(frozen=True, slots=True)
class Store:
    """What the store says, as rows."""

    messages: Sequence[Row]
    remembered: Sequence[Row]
    deliveries: Sequence[Row]
    jobs: Sequence[Row]
    contents: Sequence[Row]


@dataclass(frozen=True, slots=True)
class Found:
    """A directory of a sink that looks finished."""

    path: Path
    identity: Identity
    contents: Contents


@dataclass(frozen=True, slots=True)
class Sinks:
    """What the sinks hold; `half` is what no consumer may ever see."""

    found: Sequence[Found]
    half: Sequence[str]


@dataclass(frozen=True, slots=True)
class Report:
    """What is wrong, a sentence each.

    `lost`: acknowledged, and not delivered. `twice`: delivered more than once. `half`: unfinished, or not what was
    sent. `disagrees`: the store, its spool and the sinks tell different stories, or something was left behind.
    """

    lost: tuple[str, ...] = ()
    twice: tuple[str, ...] = ()
    half: tuple[str, ...] = ()
    disagrees: tuple[str, ...] = ()

    @property
    def is_clean(self) -> bool:
        return not any(getattr(self, field.name) for field in fields(self))

    def __str__(self) -> str:
        """Counts, and the first sentences of each kind."""
        kinds = {field.name: getattr(self, field.name) for field in fields(self)}
        counts = ", ".join(f"{name} {len(sentences)}" for name, sentences in kinds.items())
        return "\n".join([counts, *(line for sentences in kinds.values() for line in sentences[:10])])


def identity(
    authority: str, message_id: str | None, verzoeknummer: str | None, volgnummer: str | None
) -> Identity:
    """What a delivery is known by."""
    if verzoeknummer is None:
        return Identity(authority, str(message_id))
    return Identity(authority, f"verzoek {verzoeknummer}-{volgnummer}")


def contents_of(blocks: Iterable[Iterable[bytes]]) -> Contents:
    """The contents of files, each given in blocks."""
    return tuple(sorted(_digest(one) for one in blocks))


def check(believed: Sequence[Believed], store: Store, sinks: Sinks, spool: Mapping[str, str]) -> Report:
    """Compare them. `spool` is what `read_spool` found."""
    return Report(
        lost=tuple(_lost(believed, store, sinks)),
        twice=tuple(_twice(sinks)),
        half=(*sinks.half, *_other_contents(believed, sinks)),
        disagrees=(
            *_stray(believed, sinks),
            *_forgotten(believed, store),
            *_disagreeing(store, sinks),
            *_left_over(store),
            *_spool_problems(store, spool),
        ),
    )


# --- looking


def read_sqlite(path: Path) -> Store:
    """The store in a database file; what a daemon that was killed left in its WAL counts."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        connection.row_factory = sqlite3.Row
        return _store(lambda query: [dict(row) for row in connection.execute(query)])


async def read_postgres(url: str) -> Store:
    """The store in a PostgreSQL database."""
    connection = await asyncpg.connect(url)
    try:
        rows = {query: [dict(row) for row in await connection.fetch(query)] for query in _QUERIES.values()}
    finally:
        await connection.close()
    return _store(rows.__getitem__)


def read_sinks(places: Mapping[str, Sequence[Path]]) -> Sinks:
    """What lies in the directories of each authority: its sink, and where its consumer took deliveries to."""
    found: list[Found] = []
    half: list[str] = []
    for authority, directories in places.items():
        for path in sorted(entry for directory in directories for entry in directory.iterdir()):
            if path.name.startswith(".") or not path.is_dir():
                half.append(f"{path} was left unfinished")
                continue
            problem, one = _look(authority, path)
            half.extend(problem)
            found.extend(one)
    return Sinks(found, half)


def read_spool(directory: Path) -> dict[str, str]:
    """The files of a spool: the SHA-256 of what is in them now, by key; by path where that is no key."""
    return {
        path.name if _KEY.fullmatch(path.name) else str(path): _digest_of(path)
        for path in directory.rglob("*")
        if path.is_file()
    }


def _store(rows: Callable[[str], list[dict[str, Any]]]) -> Store:
    return Store(**{name: rows(query) for name, query in _QUERIES.items()})


def _look(authority: str, path: Path) -> tuple[list[str], list[Found]]:
    try:
        manifest = json.loads((path / MANIFEST).read_bytes())
        said = {entry["path"]: (entry["size"], entry["sha256"]) for entry in manifest["files"]}
    except (OSError, ValueError, KeyError, TypeError) as problem:
        return [f"{path} has no manifest that can be read: {problem!r}"], []
    files = {
        str(file.relative_to(path)): (file.stat().st_size, _digest_of(file))
        for file in path.rglob("*")
        if file.is_file() and file != path / MANIFEST
    }
    wrong = sorted(name for name in said.keys() | files.keys() if said.get(name) != files.get(name))
    problems = [f"{path / name} is not what the manifest says" for name in wrong]
    known = identity(
        authority, manifest.get("messageId"), manifest.get("verzoeknummer"), manifest.get("volgnummer")
    )
    return problems, [Found(path, known, tuple(sorted(digest for _, digest in files.values())))]


def _digest_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _digest(blocks: Iterable[bytes]) -> str:
    digest = hashlib.sha256()
    for block in blocks:
        digest.update(block)
    return digest.hexdigest()


# --- comparing


def _lost(believed: Sequence[Believed], store: Store, sinks: Sinks) -> Iterator[str]:
    there = {one.identity for one in sinks.found}
    states = {(row["authority"], row["message_id"]): row["state"] for row in store.messages}
    for one in believed:
        if one.acknowledged and one.identity not in there:
            state = states.get((one.authority, one.message_id), "not there")
            yield f"{one.identity.name} was acknowledged ({one.message_id}) and not delivered; in the store: {state}"


def _twice(sinks: Sinks) -> Iterator[str]:
    places: dict[Identity, list[Path]] = defaultdict(list)
    for one in sinks.found:
        places[one.identity].append(one.path)
    for known, paths in places.items():
        if len(paths) > 1:
            yield f"{known.name} was delivered {len(paths)} times: {', '.join(map(str, paths))}"


def _other_contents(believed: Sequence[Believed], sinks: Sinks) -> Iterator[str]:
    wanted = {one.identity: one.contents for one in believed}
    for one in sinks.found:
        if one.identity in wanted and wanted[one.identity] != one.contents:
            missing = Counter(wanted[one.identity]) - Counter(one.contents)
            yield f"{one.path} is not what was sent: {missing.total()} of its files are missing or others"


def _stray(believed: Sequence[Believed], sinks: Sinks) -> Iterator[str]:
    wanted = {one.identity for one in believed}
    for one in sinks.found:
        if one.identity not in wanted:
            yield f"{one.path} was delivered, and nobody sent it"


def _forgotten(believed: Sequence[Believed], store: Store) -> Iterator[str]:
    """What is acknowledged must be kept and remembered, or a repeat would be taken for the first time."""
    kept = {(row["authority"], row["message_id"]) for row in store.messages}
    remembered = {(row["authority"], row["message_id"]) for row in store.remembered}
    for one in believed:
        if one.acknowledged and (one.authority, one.message_id) not in kept & remembered:
            yield f"{one.message_id} was acknowledged, and the store does not know it"


def _disagreeing(store: Store, sinks: Sinks) -> Iterator[str]:
    told = {_row_identity(row): row["id"] for row in store.deliveries if row["state"] == "delivered"}
    there = {one.identity for one in sinks.found}
    for known, number in told.items():
        if known not in there:
            yield f"delivery {number} ({known.name}) is delivered in the store, and not in the sink"
    for one in sinks.found:
        if one.identity not in told:
            yield f"{one.path} is in the sink, and not delivered in the store"


def _row_identity(row: Row) -> Identity:
    return identity(row["authority"], row["message_id"], row["verzoeknummer"], row["volgnummer"])


def _left_over(store: Store) -> Iterator[str]:
    for row in store.jobs:
        yield f"job {row['id']} ({row['kind']} of {row['subject']}) is {row['state']}: {row['reason']}"
    for row in store.deliveries:
        if row["state"] not in {"delivered", "repeated"}:
            yield f"delivery {row['id']} is {row['state']}: {row['reason']}"
    for row in store.messages:
        if row["state"] != "processed":
            yield f"message {row['message_id']} is {row['state']}"


def _spool_problems(store: Store, spool: Mapping[str, str]) -> Iterator[str]:
    named = {row["spool_key"]: row["sha256"] for row in store.contents}
    for key, digest in named.items():
        if key not in spool:
            yield f"{key} is named in the store, and not in the spool"
        elif spool[key] != digest:
            yield f"{key} in the spool is not what the store says"
    for key in spool.keys() - named.keys():
        yield f"{key} is in the spool, and nothing names it"
