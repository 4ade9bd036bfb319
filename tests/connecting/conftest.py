# SPDX-License-Identifier: EUPL-1.2

"""Evidence as the tests vary it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from adapter.connecting import CertificateFacts, Evidence, Outcome, Result, Step, Subject
from adapter.rendering import Language

NOON = datetime(2026, 7, 1, 12, 0, 5, tzinfo=UTC)


@pytest.fixture
def subject() -> Subject:
    return Subject(
        environment="pre",
        authority="voorbeeldstad",
        name="Gemeente Voorbeeldstad",
        party="urn:osb:oin:00000001001100415000",
        oin="00000001001100415000",
        partner="DSO-LV",
        cpa_id="CPA-1",
        cpa_digest="ab" * 32,
        certificate=CertificateFacts(
            subject="CN=voorbeeldstad", issuer="CN=ca", fingerprint="cd" * 32, not_after=NOON
        ),
        version="1.2.3",
    )


@pytest.fixture
def evidence(subject: Subject) -> Evidence:
    return Evidence(
        step=Step.PING,
        subject=subject,
        result=Result(outcome=Outcome.DONE),
        started=NOON,
        ended=NOON + timedelta(seconds=3),
        language=Language.NL,
    )


def with_result(evidence: Evidence, **values: Any) -> Evidence:
    return replace(evidence, result=replace(evidence.result, **values))
