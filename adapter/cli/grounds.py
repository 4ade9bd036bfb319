# SPDX-License-Identifier: EUPL-1.2

"""What `connect` and `cpa publish` start with: an agreement of an authority, and everything that its steps need."""

import hashlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Final

import typer

from adapter.authorities import KnownAgreement
from adapter.cli.check_cpas import Candidate, check_cpa
from adapter.cli.check_line import Result
from adapter.cli.output import error_console, fail, say
from adapter.cli.progress import progress
from adapter.cli.settings import daemon_runs, fail_configuration, named_authority
from adapter.config import AuthorityConfig, Config, ConfigProblem, KeyFiles, read_secret
from adapter.connecting import CertificateFacts, Folder, Ground, Publisher, Remark, Subject
from adapter.daemon import api_client, load_trust
from adapter.net import Timeouts
from adapter.observe import installed_version
from adapter.pki import KeyPair, KeyProblem
from adapter.rendering import Language
from adapter.store import AgreementRow, Database, is_shared
from adapter.work import utc_now
from cpa import Agreement, CpaError, NotAParty, agreement_for, parse_cpa

EvidenceOption = Annotated[
    Path | None,
    typer.Option(
        "--evidence",
        help="Directory for the evidence; else `evidence` in the state directory.",
        file_okay=False,
    ),
]
LanguageOption = Annotated[Language, typer.Option("--language", help="Language of the evidence.")]

_IMMEDIATE: Final = timedelta(0)


@dataclass(frozen=True, slots=True)
class Manner:
    """How the steps are to be taken; see `Ground`."""

    wait: timedelta = _IMMEDIATE
    fresh: bool = False
    force: bool = False
    needs_their_ping: bool = False


def evidence_folder(config: Config, directory: Path | None, language: Language) -> Folder:
    """Where the evidence goes."""
    return Folder(directory if directory is not None else config.state / "evidence", language)


def read_agreement(config: Config, authority: str, place: str, document: bytes) -> Agreement:
    """The agreement in a CPA of an authority; ends the command where it is none, or of somebody else."""
    try:
        return agreement_for(parse_cpa(document), named_authority(config, authority).party_id)
    except NotAParty as problem:
        fail(f"{place}: {problem}; give the --authority that is a party, or correct its `party`")
    except CpaError as problem:
        fail(f"{place}: {problem}; ask for a correct CPA")


@asynccontextmanager
async def standing(
    db: Database,
    config: Config,
    authority: str,
    agreement: Agreement,
    document: bytes,
    manner: Manner,
    report: Callable[[str], None],
    *,
    known: KnownAgreement | None = None,
    row: AgreementRow | None = None,
) -> AsyncIterator[Ground]:
    """The ground of the steps for one agreement; `known` and `row` are given where it is in use."""
    owner = named_authority(config, authority)
    keys = _load(config, authority, config.authorities[authority])
    publisher = _publisher(config, authority, owner, keys)
    now = utc_now()

    def judge() -> tuple[Remark, ...]:
        candidate = Candidate(authority, agreement.cpa_id, document)
        lines = check_cpa(config, keys, candidate, agreement, utc_now())
        return tuple(Remark(line.result, line.detail) for line in lines if line.result is not Result.OK)

    try:
        yield Ground(
            environment=config.environment,
            subject=_subject(config, authority, agreement, document, keys),
            document=document,
            agreement=agreement,
            known=known,
            since=row.active_from if row is not None and not manner.fresh else now,
            db=db,
            publisher=publisher,
            judge=judge,
            # where daemons of several hosts share a database, the one that answers need not be of this host
            daemon_runs=lambda: is_shared(config.store.url) or daemon_runs(config),
            clock=utc_now,
            wait=manner.wait,
            report=report,
            fresh=manner.fresh,
            force=manner.force,
            needs_their_ping=manner.needs_their_ping,
        )
    finally:
        if publisher is not None:
            await publisher.http.close()


@asynccontextmanager
async def steps_told() -> AsyncIterator[Callable[[str], None]]:
    """What tells a person what is waited for: in one moving line on a terminal, else in a line each."""
    if not error_console().is_terminal:
        yield say
        return
    with progress("…") as course:
        yield course.at


def _subject(config: Config, authority: str, agreement: Agreement, document: bytes, keys: KeyPair) -> Subject:
    owner = config.authorities[authority]
    return Subject(
        environment=config.environment,
        authority=authority,
        name=agreement.us.name,
        party=owner.party,
        oin=owner.oin,
        partner=agreement.them.name,
        cpa_id=agreement.cpa_id,
        cpa_digest=hashlib.sha256(document).hexdigest(),
        certificate=CertificateFacts.of(keys.certificate),
        version=installed_version(),
    )


def _publisher(config: Config, authority: str, owner: AuthorityConfig, keys: KeyPair) -> Publisher | None:
    """How this authority publishes; None where the configuration does not say."""
    settings = owner.publish
    if settings is None:
        return None
    used = next(
        (
            _load(config, authority, one.own_keys, table)
            for table, one in (("publish", settings), ("dso", owner.dso))
            if one is not None and one.own_keys is not None
        ),
        keys,
    )
    try:
        trust = load_trust(config)
        api_key = read_secret(settings.api_key_file) if settings.api_key_file is not None else None
    except ConfigProblem as problem:
        fail_configuration(problem)
    except ValueError as problem:
        place = ("authorities", authority, "publish", "api_key_file")
        fail_configuration(ConfigProblem([config.problem(place, str(problem))]))
    timeouts = Timeouts(read=settings.timeout, total=settings.timeout)
    http = api_client(config, settings.url, used, trust, timeouts)
    return Publisher(settings, used, http, api_key)


def _load(
    config: Config,
    authority: str,
    files: KeyFiles,
    table: str | None = None,
) -> KeyPair:
    """A key pair of an authority, its own or of a table of it; ends the command where it cannot be used."""
    place = ("authorities", authority, *([table] if table else ()))
    try:
        return files.load(strict=config.environment.guards_keys)
    except KeyProblem as problem:
        fail_configuration(ConfigProblem([config.problem_with(place, files, str(problem))]))
