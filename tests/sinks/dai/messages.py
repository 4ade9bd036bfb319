# SPDX-License-Identifier: EUPL-1.2

"""What the tests of the dai sink deliver, and how."""

from dataclasses import replace
from typing import Any

from adapter.delivery import Handover, Outcome, Sink, StepFailed
from adapter.store import Flow
from tests.sinks.handovers import MemoryCheckpoint, make_file, make_handover

PAYLOAD = (
    b'<?xml version="1.0" encoding="UTF-8"?>\n'
    b'<a:melding xmlns:a="urn:a"><b soort="\xc3\xa9">1 &amp; 2</b></a:melding>\n'
)


def a_message(*payloads: bytes, **manifest: Any) -> Handover:
    """A message of another service than that of DSO-LV."""
    facts = {
        "cpaId": "cpa-1",
        "service": "Meldingen:1:0",
        "action": "meld",
        "messageId": "m-1@partner.example",
        "conversationId": "c-1",
        "refToMessageId": None,
        **manifest,
    }
    files = [make_file(f"payloads/{number}", one) for number, one in enumerate(payloads or (PAYLOAD,))]
    handover = make_handover(*files, key="m-1@partner.example", **facts)
    return replace(handover, flow=Flow.MESSAGE, verzoeknummer=None, volgnummer=None)


async def attempt(sink: Sink, handover: Handover, checkpoint: MemoryCheckpoint) -> Outcome:
    try:
        return await sink.deliver(handover, checkpoint)
    except StepFailed as failure:
        return failure.outcome
