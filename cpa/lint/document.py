# SPDX-License-Identifier: EUPL-1.2

"""Checks of the document and its parties: status, window, PartyIds and roles."""

import re
from collections.abc import Iterator
from datetime import timedelta

from cpa.lint.finding import Problem, RuleTable, Scope, Severity
from cpa.lint.oin import has_suffix, is_oin, strip_suffix
from cpa.model import CpaStatus, PartyId, PartyInfo
from cpa.names import OIN_TYPE

_TEST_PREFIX = "00000099"
_KNOWN_PREFIXES = frozenset({f"000000{number:02d}" for number in range(1, 12)} | {_TEST_PREFIX})
_LONGEST_USUAL = timedelta(days=3653)
_PLAIN_CPA_ID = re.compile(r"[A-Za-z0-9_:-]+", re.ASCII)


def _status(scope: Scope) -> Iterator[Problem]:
    if scope.document.status is not CpaStatus.AGREED:
        yield Problem(
            Severity.WARNING,
            "Status",
            f"the status is {scope.document.status}; only an agreed CPA carries traffic,"
            " so every message under it is refused",
        )


def _window(scope: Scope) -> Iterator[Problem]:
    start, end = scope.document.start, scope.document.end
    if end <= start:
        yield Problem(Severity.ERROR, "End", f"End {end} is not after Start {start}; the CPA is never valid")
    elif end - start > _LONGEST_USUAL:
        yield Problem(
            Severity.WARNING,
            "End",
            f"the CPA is valid for more than 10 years, until {end:%Y-%m-%d}; its certificates are not",
        )


def _window_now(scope: Scope) -> Iterator[Problem]:
    start, end = scope.document.start, scope.document.end
    if scope.now > end:
        yield Problem(Severity.ERROR, "End", f"the CPA ended on {end}; messages under it are refused")
    elif scope.now < start:
        yield Problem(
            Severity.INFO, "Start", f"the CPA starts on {start}; messages before that moment are refused"
        )


def _cpa_id(scope: Scope) -> Iterator[Problem]:
    if not _PLAIN_CPA_ID.fullmatch(scope.document.cpa_id):
        yield Problem(
            Severity.INFO,
            "CollaborationProtocolAgreement",
            f"cpaid {scope.document.cpa_id!r} has other characters than letters, digits, '_', '-' and ':';"
            " some products use it as a file name",
        )


def _party_ids(scope: Scope) -> Iterator[tuple[str, PartyId]]:
    for party in scope.document.parties:
        for party_id in party.ids:
            yield f"PartyId {party_id.value!r}", party_id


def _oin_format(scope: Scope) -> Iterator[Problem]:
    for where, party_id in _party_ids(scope):
        if party_id.type == OIN_TYPE and not is_oin(strip_suffix(party_id.value)):
            yield Problem(
                Severity.ERROR,
                where,
                f"type {OIN_TYPE} but not an OIN of 20 positions; it can match no certificate",
            )


def _party_id_type(scope: Scope) -> Iterator[Problem]:
    for where, party_id in _party_ids(scope):
        if party_id.type is None:
            yield Problem(
                Severity.WARNING, where, "no type; peers that compare the type do not recognise the party"
            )
        elif party_id.type != OIN_TYPE:
            yield Problem(
                Severity.WARNING,
                where,
                f"type {party_id.type!r} is not {OIN_TYPE}; other schemes are temporary,"
                " and the party is not compared with the OIN in its certificate",
            )


def _same_party(scope: Scope) -> Iterator[Problem]:
    first, second = scope.document.parties
    for shared in (party_id for party_id in first.ids if party_id in second.ids):
        yield Problem(
            Severity.ERROR,
            f"PartyId {shared.value!r}",
            "both parties have this PartyId; it cannot be told who sends and who receives",
        )


def _known_prefix(scope: Scope) -> Iterator[Problem]:
    for where, party_id in _party_ids(scope):
        oin = strip_suffix(party_id.value)
        if party_id.type == OIN_TYPE and is_oin(oin) and oin[:8] not in _KNOWN_PREFIXES:
            yield Problem(
                Severity.WARNING, where, f"the OIN prefix {oin[:8]} is not a known one; look for a slip"
            )


def _test_prefix(scope: Scope) -> Iterator[Problem]:
    for where, party_id in _party_ids(scope):
        if scope.production and party_id.value.startswith(_TEST_PREFIX):
            yield Problem(
                Severity.ERROR, where, f"the prefix {_TEST_PREFIX} is for tests; production refuses it"
            )


def _test_suffix(scope: Scope) -> Iterator[Problem]:
    for where, party_id in _party_ids(scope):
        if scope.production and has_suffix(party_id.value):
            yield Problem(
                Severity.ERROR,
                where,
                "a suffix such as _T or _OTA is for other environments than production, which refuses it",
            )


def _one_role(scope: Scope) -> Iterator[Problem]:
    for party in scope.document.parties:
        names = sorted({role.name for role in party.roles})
        if len(names) > 1:
            yield Problem(
                Severity.ERROR,
                _party(party),
                f"has the roles {', '.join(names)}; a party has one role in a CPA,"
                " and another role needs another CPA",
            )


def _party(party: PartyInfo) -> str:
    return f"PartyInfo {party.name!r}"


DOCUMENT_RULES: RuleTable = (
    ("CPA-04", _status),
    ("CPA-05", _window),
    ("LCY-06", _window_now),
    ("NAM-05", _cpa_id),
    ("CPA-03", _same_party),
    ("HDR-05", _oin_format),
    ("HDR-07", _party_id_type),
    ("OIN-04", _known_prefix),
    ("OIN-06", _test_prefix),
    ("OIN-07", _test_suffix),
    ("HDR-09", _one_role),
)
