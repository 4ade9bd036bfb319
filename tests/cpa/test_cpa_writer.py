# SPDX-License-Identifier: EUPL-1.2

"""A CPA that is written is valid by the schema, and reads back as what was meant."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from lxml import etree

from cpa import (
    Agreement,
    CpaStatus,
    Frequency,
    PartyId,
    Profile,
    Service,
    SyncReplyMode,
    agreement_for,
    parse_cpa,
    write_cpa,
)

SERVICE = Service("demo:melding:1.0", "urn:osb:services")
Written = Callable[..., bytes]


@pytest.fixture
def schema(shared: Path) -> etree.XMLSchema:
    return etree.XMLSchema(etree.parse(shared / "xsd" / "ebms" / "cpp-cpa-2_0.xsd"))


@pytest.mark.parametrize(
    ("profile", "sync"),
    [(profile, SyncReplyMode.NONE) for profile in Profile]
    + [(profile, SyncReplyMode.MSH_SIGNALS_ONLY) for profile in Profile if profile.reliable],
)
def test_a_written_cpa_is_valid_by_the_schema(
    written: Written, schema: etree.XMLSchema, profile: Profile, sync: SyncReplyMode
) -> None:
    schema.assertValid(etree.fromstring(written(profile, sync_reply=sync)))


def test_a_cpa_without_certificates_is_valid_by_the_schema(
    written: Written, schema: etree.XMLSchema, make: type
) -> None:
    none = dict.fromkeys(("signing_certificate", "client_certificate", "server_certificate"))
    data = written(
        Profile.OSB_RM,
        first=make.them(**none, endpoint="http://127.0.0.1:9000/ebms"),
        second=make.us(**none, party_id=PartyId("urn:name:ons")),
        second_sends=(),
    )
    schema.assertValid(etree.fromstring(data))


def test_names_with_odd_characters_give_valid_ids(written: Written, schema: etree.XMLSchema) -> None:
    odd = ("1ste/melding:ok$", "1ste/melding.ok$", "é & <b>")
    data = written(first_sends=odd, service=Service("osb:aanleveren:1.1$1.0 é", "urn:osb:services"))
    schema.assertValid(etree.fromstring(data))
    first = parse_cpa(data).parties[0]
    assert [send.binding.action for send in first.roles[0].can_send] == list(odd)


@pytest.mark.parametrize("profile", Profile)
def test_each_profile_makes_the_round_trip(written: Written, make: type, profile: Profile) -> None:
    document = parse_cpa(written(profile))
    ours, theirs = agreement_for(document, make.our_oin), agreement_for(document, make.their_oin)
    assert _profiles(ours) == {profile}
    assert _profiles(theirs) == {profile}
    assert ours.received(SERVICE, "aanleverenMelding") == theirs.sent(SERVICE, "aanleverenMelding")
    assert ours.sent(SERVICE, "aanleverenMelding") is None


def test_in_a_reliable_profile_the_channel_for_signals_names_the_actor_as_well(written: Written) -> None:
    """The reference adapter answers an Acknowledgment with HTTP 500 where it does not."""
    for party in parse_cpa(written(Profile.OSB_RM)).parties:
        actors = {channel.characteristics.actor for channel in party.channels}
        assert actors == {"urn:oasis:names:tc:ebxml-msg:actor:toPartyMSH"}


def _profiles(agreement: Agreement) -> set[Profile | None]:
    found = [agreement.received(SERVICE, action) for action in ("aanleverenMelding", "intrekkenMelding")]
    found += [agreement.sent(SERVICE, action) for action in ("aanleverenMelding", "intrekkenMelding")]
    found += [agreement.sent(SERVICE, "bevestigenMelding"), agreement.received(SERVICE, "bevestigenMelding")]
    return {exchange.profile for exchange in found if exchange}


def test_all_that_was_drafted_is_read_back(written: Written, make: type) -> None:
    draft = make.draft(
        Profile.OSB_RM_E,
        retries=3,
        retry_interval=timedelta(minutes=90),
        persist_duration=timedelta(days=1, minutes=1),
        sign_acknowledgments=False,
        status=CpaStatus.PROPOSED,
        sync_reply=SyncReplyMode.MSH_SIGNALS_ONLY,
        hash_function="http://www.w3.org/2001/04/xmlenc#sha512",
        signature_algorithm="http://www.w3.org/2001/04/xmldsig-more#rsa-sha512",
    )
    agreement = agreement_for(parse_cpa(write_cpa(draft)), make.our_oin)
    exchange = agreement.received(SERVICE, "aanleverenMelding")
    assert exchange is not None
    assert agreement.cpa_id == draft.cpa_id
    assert (agreement.start, agreement.end, agreement.status) == (draft.start, draft.end, draft.status)
    assert (exchange.retries, exchange.retry_interval) == (draft.retries, draft.retry_interval)
    assert exchange.persist_duration == draft.persist_duration
    assert exchange.is_synchronous
    assert exchange.characteristics.ack_signature_requested is Frequency.NEVER
    assert exchange.hash_function == draft.hash_function
    assert exchange.signature_algorithms == (draft.signature_algorithm,)
    assert exchange.encryption_algorithms == (draft.encryption_algorithm,)
    assert (exchange.sender_role, exchange.receiver_role) == ("LOKET", "BEVOEGDGEZAG")


@pytest.mark.parametrize(
    ("profile", "changes", "problem"),
    [
        (Profile.OSB_BE, {"sync_reply": SyncReplyMode.MSH_SIGNALS_ONLY}, "SYN-02"),
        (Profile.OSB_RM, {"sync_reply": SyncReplyMode.RESPONSE_ONLY}, "SYN-01"),
        (Profile.OSB_RM, {"first_sends": (), "second_sends": ()}, "neither party"),
        (Profile.OSB_RM, {"first_sends": ("a", "a")}, "twice"),
    ],
)
def test_a_draft_that_contradicts_itself_is_refused(
    make: type, profile: Profile, changes: dict[str, object], problem: str
) -> None:
    with pytest.raises(ValueError, match=problem):
        write_cpa(make.draft(profile, **changes))


@pytest.mark.parametrize("certificate", ["signing_certificate", "encryption_certificate"])
def test_a_profile_without_its_certificate_is_refused(make: type, certificate: str) -> None:
    with pytest.raises(ValueError, match=certificate.replace("_", " ")):
        write_cpa(make.draft(Profile.OSB_BE_E, second=replace(make.us(), **{certificate: None})))
