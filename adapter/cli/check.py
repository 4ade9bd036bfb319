# SPDX-License-Identifier: EUPL-1.2

"""`check`: everything that can be looked at before the daemon starts, or beside one that runs.

It changes nothing; only where payloads are kept in an object store, an object is written there and removed again.
"""

import asyncio
import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from sqlalchemy.exc import SQLAlchemyError

from adapter.admin import load_users, read_theme, weakness
from adapter.cli.check_cpas import Candidate, check_cpas, read_cpa_files
from adapter.cli.check_crls import check_crls
from adapter.cli.check_keys import check_keys, check_roots
from adapter.cli.check_line import Line, Result, failed, ok, warning, wrong
from adapter.cli.check_notifications import check_notifications
from adapter.cli.output import FAILED, WRONG_CONFIGURATION, Column, fail, say, show_table
from adapter.cli.progress import Course, progress
from adapter.cli.settings import DEFAULT_CONFIG, ConfigOption, JsonOption, load, opened_store, store_trouble
from adapter.config import AuthorityConfig, Config, ConfigProblem, Listen, ProxyConfig
from adapter.daemon import effective_policy, sink_context, sink_problem
from adapter.delivery import SinkContext, SinkProblem, SinkType, make_sink
from adapter.observe import configure_logs
from adapter.pki import KeyPair
from adapter.sinks import route_problems, sink_types, unusable_types
from adapter.store import (
    SchemaStatus,
    SpoolUnavailable,
    StoreProblem,
    StoreUnavailable,
    active_agreements,
    daemon_is_running,
    probe_spool,
    schema_status,
    shown_url,
)
from adapter.work import utc_now

PROBE_SECONDS: Final = 15.0

_COLUMNS: Final = (
    Column("what", "what"),
    Column("name", "name"),
    Column("result", "result"),
    Column("detail", "detail"),
)


def check(config: ConfigOption = DEFAULT_CONFIG, as_json: JsonOption = False) -> None:
    """Check configuration, keys, revocation lists, CPAs, database, place of payloads, sinks and notifications.

    Nothing listens or is sent, and nothing is changed, but for an object in the bucket of [store] payloads that is
    written, read and removed again.

    Each line says what was looked at and, where it is not right, what mends it. Exit code 0: no errors; 78: the
    configuration, or a key, CPA or sink option in it, is wrong; 1: something else fails, as a sink that is not there.

    Example: stam-adapter check --config /etc/stam-adapter/stam-adapter.toml
    """
    configure_logs("console", "error")
    try:
        settings = load(config)
    except ConfigProblem as problem:
        lines = [wrong("configuration", config.name, text) for text in problem.problems]
    else:
        with progress("checking") as course:
            lines = asyncio.run(_check(settings, config, datetime.now(UTC), course))
    show_table(_COLUMNS, (line.row() for line in lines), as_json=as_json)
    _end(lines)


def _end(lines: list[Line]) -> None:
    errors = [line for line in lines if line.result is Result.ERROR]
    warnings = sum(line.result is Result.WARNING for line in lines)
    summary = f"{len(errors)} errors, {warnings} warnings"
    if not errors:
        say(summary)
        return
    wrong_configuration = any(line.code == WRONG_CONFIGURATION for line in errors)
    fail(summary, WRONG_CONFIGURATION if wrong_configuration else FAILED)


async def _check(config: Config, path: Path, now: datetime, course: Course) -> list[Line]:
    lines = [
        ok(
            "configuration",
            path.name,
            f"{config.environment}, for {', '.join(config.authorities) or 'nobody'}",
        ),
        *_check_extent(config),
    ]
    course.at("checking keys and certificates")
    trust, found = check_roots(config, now)
    lines += found
    keys, found = check_keys(config, trust, now)
    lines += found
    course.at("checking database and CPAs")
    database = _check_database(config)
    candidates, found = read_cpa_files(config)
    lines += found
    if database.result is Result.OK and config.state.exists():
        candidates += await _uploaded(config, candidates)
    lines += check_cpas(config, keys, candidates, now)
    course.at("fetching revocation lists")
    lines += await check_crls(config, trust, keys, candidates, now)
    lines += _check_retention(config, candidates)
    lines += [database, await _check_payloads(config), *_check_listeners(config)]
    lines += [*_check_theme(config), *_check_users(config)]
    course.at("asking the sinks")
    lines += await _check_sinks(config, keys)
    course.at("asking the servers of notifications")
    return lines + await check_notifications(config)


_USABLE: Final = {
    SchemaStatus.CURRENT: "of this version",
    SchemaStatus.UNFINISHED: "of this version but for removals; when no older daemon runs, `stam-adapter db migrate`",
    SchemaStatus.AHEAD: "of a newer version that this one can work with",
}


def _check_extent(config: Config) -> Iterator[Line]:
    """What is left out, and will be missed."""
    if not config.authorities:
        yield warning("configuration", "authorities", "there is none; add [authorities.<name>]")
    for name, authority in config.authorities.items():
        if not authority.routes:
            fix = f"add [[authorities.{name}.routes]]"
            yield warning("route", name, f"there is none: what is received waits for an operator; {fix}")
        yield from _check_finding(name, authority)
    for name, text in route_problems(config, sink_types()):
        yield wrong("route", name, text)
    for kind, text in unusable_types():
        yield warning("sink type", kind, text)


def _check_finding(name: str, authority: AuthorityConfig) -> Iterator[Line]:
    """Verzoeken that the paths of Verzoek afhandelen cannot lead to."""
    dso = authority.dso
    if dso is None:
        return
    if dso.direct_paths is not None and dso.direct_paths.document is None:
        yield warning(
            "dso",
            name,
            "direct.document is not set: a verzoek with documents waits for an operator; give the path of documents",
        )
    if dso.asks_volgnummer and authority.reconcile is not None:
        yield warning(
            "dso",
            name,
            "a path asks for the volgnummer, which the answer to a search may not have: a verzoek that reconciliation "
            "finds without one waits for an operator; leave {volgnummer} out, unless the answers have it",
        )


def _check_database(config: Config) -> Line:
    name, state = shown_url(config.store.url), config.state
    try:
        status = schema_status(config.store.url, state)
        if status.is_usable:
            running = "a daemon runs on it" if daemon_is_running(state) else "no daemon runs on it"
            return ok("database", name, f"in {state}, {_USABLE[status]}; {running}")
    except StoreUnavailable as problem:
        return failed("database", name, str(problem))
    except StoreProblem as problem:
        return wrong("database", name, str(problem))
    except SQLAlchemyError as error:
        return failed("database", name, store_trouble(config, error))
    except OSError as error:
        return failed("database", name, f"{state} cannot be read: {error.strerror}; check its rights")
    return _check_new_database(name, state)


async def _check_payloads(config: Config) -> Line:
    place = config.store.payloads
    try:
        remark = await probe_spool(config)
    except SpoolUnavailable as problem:
        return failed("payloads", place, str(problem))
    return ok("payloads", place, "could be kept") if remark is None else warning("payloads", place, remark)


def _check_retention(config: Config, candidates: list[Candidate]) -> Iterator[Line]:
    """Periods that are shorter than the time in which a message may be repeated: that time is kept instead."""
    _, said = effective_policy(config, [(one.authority, one.document) for one in candidates])
    for text in said:
        yield warning("retention", "payloads", text)


def _check_new_database(name: str, state: Path) -> Line:
    if not state.exists():
        place = next(parent for parent in state.absolute().parents if parent.exists())
        if not place.is_dir() or not os.access(place, os.W_OK | os.X_OK):
            return failed(
                "database", name, f"{state} cannot be made by this user; make it, or correct `state`"
            )
        return ok("database", name, f"will be made in {state} when the daemon starts")
    if not state.is_dir() or not os.access(state, os.R_OK | os.W_OK | os.X_OK):
        return failed(
            "database", name, f"{state} is no directory that this user can write; correct its rights"
        )
    if not any(state.iterdir()):
        return ok("database", name, f"will be made in {state} when the daemon starts")
    if daemon_is_running(state):
        return failed(
            "database", name, f"in {state}, of another version than this; restart the daemon with this one"
        )
    return warning(
        "database",
        name,
        f"in {state}, not there or of another version: made or migrated when the daemon starts, "
        "or now by `stam-adapter db migrate`",
    )


async def _uploaded(config: Config, from_files: list[Candidate]) -> list[Candidate]:
    """The agreements in use that are not, or not as they are, in the files of the configuration."""
    seen = {(one.authority, hashlib.sha256(one.document).hexdigest()) for one in from_files}
    if not schema_status(config.store.url, config.state).is_usable:
        return []
    async with opened_store(config) as db:
        rows = await db.read(active_agreements)
    return [
        Candidate(row.authority, f"added on {row.active_from:%Y-%m-%d}", row.document)
        for row in rows
        if (row.authority, row.digest) not in seen
    ]


def _check_listeners(config: Config) -> Iterator[Line]:
    """How it will listen; nothing is bound, since a daemon may run."""
    ebms, admin = config.ebms, config.admin
    scheme = "mutual TLS" if ebms.tls else "plain HTTP" if ebms.trusted_proxies else None
    if scheme is None:
        detail = (
            "plain HTTP: partners are not identified; only for tests on this machine, else add [ebms.tls]"
        )
        yield warning("listener", "ebms", f"{ebms.listen}{ebms.path}: {detail}")
    else:
        header = (ebms.proxy or ProxyConfig()).certificate_header
        proxied = f", behind {', '.join(ebms.trusted_proxies)} with {header}" if ebms.trusted_proxies else ""
        only = f", only from {', '.join(ebms.networks)}" if ebms.networks else ""
        yield ok("listener", "ebms", f"{ebms.listen}{ebms.path}: {scheme}{proxied}{only}")
    yield from _check_proxied_chain(config)
    if _clash(ebms.listen, admin.listen):
        text = f"{admin.listen} is also where ebms listens; give one another port"
        yield wrong("listener", "admin", config.problem(("admin", "listen"), text))
    else:
        yield ok("listener", "admin", f"{admin.listen}: {'TLS' if admin.tls else 'plain HTTP'}")


def _check_proxied_chain(config: Config) -> Iterator[Line]:
    """Whether a chain can be completed of which a proxy hands over the first certificate alone."""
    ebms, proxy = config.ebms, config.ebms.proxy or ProxyConfig()
    has_chain = proxy.chain_header is not None or proxy.form.has_chain or config.trust.intermediates
    if ebms.trusted_proxies and not has_chain:
        yield warning(
            "listener",
            "proxy",
            "no authorities are known between the roots and the partners: name them in trust.intermediates, "
            "or let the proxy hand them over, and set ebms.proxy.chain_header",
        )


def _clash(one: Listen, other: Listen) -> bool:
    every = {"0.0.0.0", "::", ""}  # noqa: S104 - compared, not bound
    same_host = one.host == other.host or bool(every & {one.host, other.host})
    return one.port == other.port != 0 and same_host


def _check_theme(config: Config) -> Iterator[Line]:
    """The house style of the status page, where there is one."""
    path = config.admin.theme
    if path is None:
        return
    try:
        read_theme(path)
    except ConfigProblem as problem:
        text = problem.problems[0].removeprefix("admin.theme: ")
        yield wrong("theme", "admin", config.problem(("admin", "theme"), text))
    else:
        yield ok("theme", "admin", str(path))


def _check_users(config: Config) -> Iterator[Line]:
    for number, user in enumerate(config.admin.users):
        try:
            load_users([user], strict=config.environment.guards_keys)
            weak = weakness(user)
        except ConfigProblem as problem:
            text = problem.problems[0].removeprefix(f"admin.users {user.name}: ")
            proof = "token_file" if user.token_file is not None else "certificate"
            yield wrong("user", user.name, config.problem(("admin", "users", number, proof), text))
            continue
        if weak is not None:
            yield warning("user", user.name, weak)
        roles = ", ".join(f"{role} for {name}" for name, role in user.role_of.items())
        yield ok("user", user.name, roles)


async def _check_sinks(config: Config, keys: Mapping[str, KeyPair]) -> list[Line]:
    types = sink_types()  # looked for among all that is installed
    return [
        line
        for authority, settings in config.authorities.items()
        for name, options in settings.sinks.items()
        for line in await _check_sink(
            config, types, name, options, sink_context(config, authority, name, keys.get(authority), utc_now)
        )
    ]


async def _check_sink(
    config: Config,
    types: Iterable[SinkType[Any]],
    name: str,
    options: Mapping[str, Any],
    context: SinkContext,
) -> list[Line]:
    authority = context.authority
    shown = f"{authority}.{name}"
    try:
        sink = make_sink(types, f"authorities.{authority}.sinks.{name}", options, context).sink
    except SinkProblem as problem:
        return [
            wrong("sink", shown, sink_problem(config, authority, name, text)) for text in problem.problems
        ]
    try:
        async with asyncio.timeout(PROBE_SECONDS):
            await sink.probe()
    except SinkProblem as problem:
        return [failed("sink", shown, text) for text in problem.problems]
    except TimeoutError:
        return [failed("sink", shown, f"does not answer within {PROBE_SECONDS:g} s; look at the other side")]
    except OSError as error:
        return [failed("sink", shown, f"cannot be reached: {error}; look at the other side")]
    finally:
        await sink.close()
    return [ok("sink", shown, "could deliver")]
