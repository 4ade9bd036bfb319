# SPDX-License-Identifier: EUPL-1.2

"""Backups: a consistent copy of the database with the files of the spool that its rows name, and the way back.

A backup is a directory laid out as a state directory. The database is copied first, in one view; then the files that
the rows of that view name. What retention removed in between is counted, and what is missing or damaged is said. The
manifest is written last: a directory without it is no backup. Whoever finds the manifest in a state directory, however
it came there, knows that the store was restored (`adapter.store.restored`).
"""

import json
import os
import shutil
import sqlite3
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from io import BufferedWriter, FileIO
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

from sqlalchemy import Connection, select, text, union

from adapter.store.database import Database
from adapter.store.opening import schema_status
from adapter.store.problems import SpoolDamaged, StoreProblem
from adapter.store.revisions import SchemaStatus
from adapter.store.schema import delivery_file, payload
from adapter.store.spool import Content, Spool
from adapter.store.spooled import named_keys
from adapter.store.sqlite import sqlite_path
from adapter.store.urls import is_postgres_url
from adapter.store.writer import raw_connection

MANIFEST: Final = "backup.json"
DUMP: Final = "stam-adapter.dump"
"""What the dump of a PostgreSQL database is called, in the custom format of `pg_dump`."""

_PAGES: Final = 4096
_KEYS: Final = 500


@dataclass(frozen=True, slots=True)
class Backup:
    """What the manifest of a backup says: when it was begun, of which kind of store, and how many files it has."""

    made_at: datetime
    store: str
    files: int
    octets: int


@dataclass(frozen=True, slots=True)
class BackedUp:
    """How making a backup went.

    `removed` counts what retention removed meanwhile. `problems` are the files that are not in the backup as they were
    stored: they are missing or damaged in the store itself.
    """

    backup: Backup
    removed: int
    problems: tuple[str, ...]


Report = Callable[[int, int], object]
"""Told how many files are done, and of how many."""


def _untold(_done: int, _of: int) -> None:
    pass


async def back_up(
    db: Database,
    spool: Spool | None,
    url: str,
    directory: Path,
    now: datetime,
    report: Report = _untold,
) -> BackedUp:
    """Make a backup in a directory that is empty or not there, beside a running daemon or without one.

    Without a `spool` it has the database alone: an object store is protected by means of its own.

    Raises:
        StoreProblem: the directory has something in it, or the database cannot be copied.
        OSError: the directory cannot be written.

    """
    _make_empty(directory)
    store = store_kind(url)
    contents = await db.read(_copy_database, url, directory)
    (directory / "spool").mkdir(mode=0o700)
    if spool is None:
        contents, octets, gone = [], 0, dict[str, str]()
    else:
        octets, gone = await _copy_files(spool, contents, directory / "spool", report)
    still_named = await _still_named(db, list(gone))
    problems = [gone[key] for key in sorted(still_named)]
    backup = Backup(now, store, len(contents) - len(gone), octets)
    _write_manifest(directory, backup)
    return BackedUp(backup, len(gone) - len(still_named), tuple(problems))


def restore(url: str, state: Path, directory: Path, report: Report = _untold) -> Backup:
    """Put a backup where there is no store; the daemon finds at its next start that it was restored. Blocking.

    Files first, then the manifest, and the database last: what is not complete is not taken for a store.

    Raises:
        StoreProblem: it is no backup, or of another kind of store; or there is a store already.
        OSError: the state directory cannot be written.

    """
    backup = read_manifest(directory)
    if backup is None:
        raise StoreProblem(f"{directory} has no {MANIFEST}: it is no backup, or one that was not finished")
    if backup.store != store_kind(url):
        raise StoreProblem(
            f"{directory} is a backup of a store of kind {backup.store}, and [store] url names one of kind "
            f"{store_kind(url)}"
        )
    if schema_status(url, state) is not SchemaStatus.MISSING or _has_file(url, state):
        raise StoreProblem(
            "there is a store already, and a restore replaces nothing: move the state directory away, or name an "
            "empty database"
        )
    state.mkdir(mode=0o700, parents=True, exist_ok=True)
    for number, source in enumerate(_files_of(directory / "spool"), 1):
        _put(source, state / source.relative_to(directory))
        report(number, backup.files)
    _put(directory / MANIFEST, state / MANIFEST)
    if is_postgres_url(url):
        options = ("--no-owner", "--no-privileges", "--exit-on-error", "--single-transaction")
        _run_client("pg_restore", url, *options, str(_database_in(directory, url)))
    else:
        _put(_database_in(directory, url), sqlite_path(state))
    return backup


def read_manifest(directory: Path) -> Backup | None:
    """Read the manifest in a directory; None where there is none.

    Raises:
        StoreProblem: it cannot be read.

    """
    try:
        found = json.loads((directory / MANIFEST).read_bytes())
        made_at = datetime.fromisoformat(found["made_at"])
        return Backup(made_at, str(found["store"]), int(found["files"]), int(found["octets"]))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StoreProblem(f"{directory / MANIFEST} cannot be read: {error}") from error


def store_kind(url: str) -> str:
    """Which kind of store a URL names: `postgresql` or `sqlite`."""
    return "postgresql" if is_postgres_url(url) else "sqlite"


def _make_empty(directory: Path) -> None:
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    if any(directory.iterdir()):
        raise StoreProblem(f"{directory} is not empty; give each backup a directory of its own")


# --- the database


def _copy_database(conn: Connection, url: str, directory: Path) -> list[Content]:
    """Copy what this transaction sees; return the contents in files that its rows name."""
    target = _database_in(directory, url)
    os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600))
    if is_postgres_url(url):
        conn.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))
        snapshot = conn.execute(text("SELECT pg_export_snapshot()")).scalar_one()
        contents = _contents(conn)
        options = ("--format=custom", "--no-owner", "--no-privileges", f"--snapshot={snapshot}")
        _run_client("pg_dump", url, *options, "--file", str(target))
    else:
        contents = _contents(conn)
        copy = sqlite3.connect(target)
        try:
            raw_connection(conn).backup(copy, pages=_PAGES)
        finally:
            copy.close()
    _sync(target)
    return contents


def _database_in(directory: Path, url: str) -> Path:
    return directory / DUMP if is_postgres_url(url) else sqlite_path(directory)


def _contents(conn: Connection) -> list[Content]:
    """Each file once, whoever names it."""
    query = union(
        *(
            select(table.c.spool_key, table.c.size, table.c.sha256).where(table.c.spool_key.is_not(None))
            for table in (payload, delivery_file)
        )
    )
    return [Content(row.size, row.sha256, key=row.spool_key) for row in conn.execute(query)]


def _run_client(program: str, url: str, *arguments: str) -> None:
    """Run a client of PostgreSQL; the password stays out of its arguments, which everybody can read."""
    shown, password = _without_password(url)
    environment: Mapping[str, str] = os.environ | ({"PGPASSWORD": password} if password else {})
    command = [program, "--no-password", f"--dbname={shown}", *arguments]
    try:
        # the programs are two that we name, and there is no shell
        done = subprocess.run(command, env=environment, capture_output=True, check=False)  # noqa: S603
    except FileNotFoundError as error:
        raise StoreProblem(
            f"there is no {program} on PATH; install the client of PostgreSQL, of the version of the server or newer"
        ) from error
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        raise StoreProblem(f"{program} failed: {said[-1] if said else f'exit code {done.returncode}'}")


def _without_password(url: str) -> tuple[str, str | None]:
    parts = urlsplit(url)
    options = parse_qsl(parts.query, keep_blank_values=True)
    password = dict(options).get("password")
    login, at, host = parts.netloc.rpartition("@")
    user, _, secret = login.partition(":")
    query = urlencode([(name, value) for name, value in options if name != "password"])
    shown = parts._replace(netloc=f"{user}{at}{host}", query=query).geturl()
    return shown, unquote(secret) or password


# --- the files


async def _copy_files(
    spool: Spool, contents: Sequence[Content], copies: Path, report: Report
) -> tuple[int, dict[str, str]]:
    """Copy what there is; return its octets, and by its key why a file is not there as it was stored."""
    octets, gone = 0, dict[str, str]()
    for number, content in enumerate(contents, 1):
        report(number, len(contents))
        try:
            octets += await _copy(spool, content, copies)
        except SpoolDamaged as problem:
            gone[content.key or ""] = str(problem)
    return octets, gone


async def _copy(spool: Spool, content: Content, copies: Path) -> int:
    """Copy a file; return its octets.

    Raises:
        SpoolDamaged: it is gone, or not what was stored; nothing of it is in the backup.

    """
    key = content.key or ""
    target = copies / key[:2] / key
    target.parent.mkdir(mode=0o700, exist_ok=True)
    try:
        await _write(target, spool.open(content))
    except SpoolDamaged:
        target.unlink(missing_ok=True)
        raise
    return content.size


async def _write(target: Path, chunks: AsyncIterator[bytes]) -> None:
    """Write a file so that it lasts."""
    with BufferedWriter(FileIO(target, "xb", opener=_private)) as file:
        async for chunk in chunks:
            file.write(chunk)
        file.flush()
        os.fsync(file.fileno())


async def _still_named(db: Database, keys: Sequence[str]) -> set[str]:
    """Those of the keys that rows name now: what retention removed meanwhile is named no more."""
    named: set[str] = set()
    for start in range(0, len(keys), _KEYS):
        named |= await db.read(named_keys, keys[start : start + _KEYS])
    return named


def _write_manifest(directory: Path, backup: Backup) -> None:
    for shard in (directory / "spool").iterdir():
        _sync(shard)
    values: dict[str, Any] = asdict(backup) | {"made_at": backup.made_at.isoformat()}
    path = directory / MANIFEST
    path.write_text(json.dumps(values, indent=2) + "\n")
    for changed in (path, directory / "spool", directory):
        _sync(changed)


def _files_of(spool: Path) -> Iterator[Path]:
    return (path for path in sorted(spool.glob("[0-9a-f][0-9a-f]/*")) if path.is_file())


def _put(source: Path, target: Path) -> None:
    """Copy a file so that it is there completely or not at all."""
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    unfinished = target.with_name(f"{target.name}.part")
    shutil.copyfile(source, unfinished)
    unfinished.chmod(0o600)
    _sync(unfinished)
    unfinished.rename(target)
    _sync(target.parent)


def _has_file(url: str, state: Path) -> bool:
    return not is_postgres_url(url) and sqlite_path(state).exists()


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_CLOEXEC, 0o600)
