# SPDX-License-Identifier: EUPL-1.2

"""The first two steps: the CPA is sound and of this environment, and DSO-LV has it."""

from collections.abc import Iterable, Iterator
from typing import Final

from adapter.config import Environment, dso_environment
from adapter.connecting.evidence import CertificateFacts, Outcome, Result, Trouble, failed
from adapter.connecting.ground import Ground, Publisher, happened
from adapter.connecting.publishing import Answer, Publication, make_publication, offer, result_of
from adapter.pki import strip_suffix
from adapter.store import Event, add_event, events_for
from cpa import Agreement, CpaError, Exchange, PartyInfo, pairs

PUBLISHED: Final = "agreement.published"
NOT_PUBLISHED: Final = "agreement.not_published"
ERROR: Final = "error"


async def check_cpa(ground: Ground) -> Result:
    """The CPA has no errors, and is of this environment."""
    remarks = ground.judge()
    shown = Result(outcome=Outcome.DONE, facts=_facts(ground.agreement), remarks=remarks)
    elsewhere = next(other_environment(ground.agreement, ground.environment), None)
    if elsewhere is not None:
        return failed(Trouble.OTHER_ENVIRONMENT, elsewhere, shown)
    errors = [one.text for one in remarks if one.severity == ERROR]
    if errors and not ground.force:
        return failed(Trouble.CPA_WRONG, "; ".join(errors), shown)
    return shown


async def publish_cpa(ground: Ground) -> Result:
    """DSO-LV has the CPA: it took it before, takes it now, or says that it has it already.

    Nothing is sent of a CPA that has errors, unless forced, or that is of another environment, forced or not.
    """
    publisher = ground.publisher
    if publisher is None:
        name = ground.subject.authority
        return failed(Trouble.NOT_CONFIGURED, f"the configuration has no [authorities.{name}.publish]")
    if not ground.fresh and (before := await _published_before(ground)) is not None:
        return before
    checked = await check_cpa(ground)
    if checked.outcome is Outcome.FAILED:
        return checked
    publication = await publication_of(ground, publisher)
    ground.report(f"publishing {publication.cpa_id} to {publication.url}")
    answer = await offer(publisher.http, publisher.settings, publication)
    await ground.db.write(add_event, _event(ground, publication, answer))
    fingerprint = CertificateFacts.of(publisher.keys.certificate).fingerprint
    return result_of(publication, answer, fingerprint)


async def publication_of(ground: Ground, publisher: Publisher) -> Publication:
    """The request that would be sent."""
    subject = ground.subject
    return await make_publication(
        publisher.settings, subject.oin, subject.cpa_id, ground.document, publisher.api_key
    )


def other_environment(agreement: Agreement, environment: Environment) -> Iterator[str]:
    """Say what shows that a CPA is of another environment than this one."""
    for uri in _endpoints(agreement.them):
        there = dso_environment(uri)
        if there not in {None, environment}:
            yield f"their endpoint {uri} is of environment {there}, this is {environment}"
    if environment is not Environment.PROD:
        return
    for one in (party for side in (agreement.us, agreement.them) for party in side.ids):
        if strip_suffix(one.value) != one.value:
            yield f"PartyId {one.value} is of a test environment, this is {environment}"


async def _published_before(ground: Ground) -> Result | None:
    """What the store knows of an earlier publication of exactly this document."""
    subject = ground.subject
    events = await ground.db.read(
        events_for, authority=subject.authority, cpa_id=subject.cpa_id, actions=(PUBLISHED,)
    )
    same = [event for event in events if event.detail.get("digest") == subject.cpa_digest]
    if not same:
        return None
    detail = same[-1].detail
    facts = {name: value for name, value in detail.items() if name.startswith("publish_")}
    return Result(outcome=Outcome.DONE, at=same[-1].at, facts=facts, timeline=happened(same))


def _event(ground: Ground, publication: Publication, answer: Answer) -> Event:
    return Event(
        at=ground.clock(),
        authority=ground.subject.authority,
        action=PUBLISHED if answer.reception.is_there else NOT_PUBLISHED,
        cpa_id=publication.cpa_id,
        detail={
            "digest": ground.subject.cpa_digest,
            "publish_url": publication.url,
            "publish_method": publication.method,
            **answer.facts(),
        },
    )


def _facts(agreement: Agreement) -> dict[str, str | int]:
    exchanges = [pair.exchange for pair in pairs(agreement.them, agreement.us)]
    return {
        "service": _listed(one.service.name for one in exchanges),
        "action": _listed(one.action for one in exchanges),
        "profile": _listed(str(one.profile) for one in exchanges),
        "valid_from": f"{agreement.start:%Y-%m-%d}",
        "valid_until": f"{agreement.end:%Y-%m-%d}",
        "our_endpoint": _listed(filter(None, map(_endpoint, exchanges))),
        "their_endpoint": _listed(_endpoints(agreement.them)),
    }


def _listed(values: Iterable[str]) -> str:
    return ", ".join(dict.fromkeys(values))


def _endpoint(exchange: Exchange) -> str | None:
    try:
        return exchange.endpoint
    except CpaError:
        return None


def _endpoints(party: PartyInfo) -> Iterator[str]:
    for transport in party.transports:
        if transport.receiver is not None:
            yield from (one.uri for one in transport.receiver.endpoints)
