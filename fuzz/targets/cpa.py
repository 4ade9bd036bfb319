# SPDX-License-Identifier: EUPL-1.2

"""A CPA: what can be read can be looked up from both sides and checked."""

from datetime import UTC, datetime

from cpa import CpaError, agreement_for, lint, parse_cpa

_NOW = datetime(2026, 6, 1, tzinfo=UTC)


def one_input(data: bytes) -> None:
    """Read a CPA, check it, and ask what each party has agreed."""
    try:
        document = parse_cpa(data)
    except CpaError as problem:
        assert str(problem)
        return
    for production in (True, False):
        assert all(finding.message for finding in lint(document, production=production, now=_NOW))
    for party in document.parties:
        try:
            agreement_for(document, party.ids[0])
        except CpaError as problem:
            assert str(problem)
