# SPDX-License-Identifier: EUPL-1.2

"""A simulated DSO-LV: made-up verzoeken, the API they are fetched from, and the faults it can be told to
have; and the adapter that it talks to, as a process of its own.
"""

from adapter.simulator.api import DEFAULT_BASE, ApiSettings, LoggedRequest, VerzoekAfhandelenApi
from adapter.simulator.content import GeneratedContent
from adapter.simulator.dso import SimulatedDso
from adapter.simulator.faults import Faults, parse_faults
from adapter.simulator.msh import SimulatedMsh
from adapter.simulator.process import AdapterEnded, AdapterProcess, running_adapter
from adapter.simulator.publishing import CPA_BASE
from adapter.simulator.records import Payload, ReceivedSignal, SentMessage, TakenMessage
from adapter.simulator.specs import (
    HOSTILE_NAMES,
    LONG_NAME,
    Applicant,
    DocumentSpec,
    Place,
    VerzoekSpec,
    hostile_documents,
    random_spec,
    verzoeknummer,
)
from adapter.simulator.stream import OTHER_DIENST, VerzoekStream
from adapter.simulator.tokens import TOKEN_PATH, TokenEndpoint, TokenSettings
from adapter.simulator.verzoeken import (
    SimulatedDocument,
    SimulatedVerzoek,
    make_verzoek,
    notification_xml,
    supplement,
    withdrawal,
)
from adapter.simulator.world import (
    ACTION,
    DSO_OIN,
    REPLY,
    SERVICE,
    AgreementPlan,
    Ports,
    World,
    WorldAuthority,
    create_world,
    free_ports,
)

__all__ = [
    "ACTION",
    "CPA_BASE",
    "DEFAULT_BASE",
    "DSO_OIN",
    "HOSTILE_NAMES",
    "LONG_NAME",
    "OTHER_DIENST",
    "REPLY",
    "SERVICE",
    "TOKEN_PATH",
    "AdapterEnded",
    "AdapterProcess",
    "AgreementPlan",
    "ApiSettings",
    "Applicant",
    "DocumentSpec",
    "Faults",
    "GeneratedContent",
    "LoggedRequest",
    "Payload",
    "Place",
    "Ports",
    "ReceivedSignal",
    "SentMessage",
    "SimulatedDocument",
    "SimulatedDso",
    "SimulatedMsh",
    "SimulatedVerzoek",
    "TakenMessage",
    "TokenEndpoint",
    "TokenSettings",
    "VerzoekAfhandelenApi",
    "VerzoekSpec",
    "VerzoekStream",
    "World",
    "WorldAuthority",
    "create_world",
    "free_ports",
    "hostile_documents",
    "make_verzoek",
    "notification_xml",
    "parse_faults",
    "random_spec",
    "running_adapter",
    "supplement",
    "verzoeknummer",
    "withdrawal",
]
