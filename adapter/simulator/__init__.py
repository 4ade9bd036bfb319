"""A simulated DSO-LV: made-up verzoeken, the API they are fetched from, and the faults it can be told to
have; and the adapter that it talks to, as a process of its own.
"""

from adapter.simulator.api import DEFAULT_BASE, ApiSettings, LoggedRequest, VerzoekAfhandelenApi
from adapter.simulator.content import GeneratedContent
from adapter.simulator.dso import SimulatedDso
from adapter.simulator.faults import Faults
from adapter.simulator.msh import SimulatedMsh
from adapter.simulator.process import AdapterEnded, AdapterProcess, running_adapter
from adapter.simulator.records import Payload, ReceivedSignal, SentMessage, TakenMessage
from adapter.simulator.specs import DocumentSpec, VerzoekSpec, random_spec, verzoeknummer
from adapter.simulator.verzoeken import SimulatedDocument, SimulatedVerzoek, make_verzoek, notification_xml
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
    "DEFAULT_BASE",
    "DSO_OIN",
    "REPLY",
    "SERVICE",
    "AdapterEnded",
    "AdapterProcess",
    "AgreementPlan",
    "ApiSettings",
    "DocumentSpec",
    "Faults",
    "GeneratedContent",
    "LoggedRequest",
    "Payload",
    "Ports",
    "ReceivedSignal",
    "SentMessage",
    "SimulatedDocument",
    "SimulatedDso",
    "SimulatedMsh",
    "SimulatedVerzoek",
    "TakenMessage",
    "VerzoekAfhandelenApi",
    "VerzoekSpec",
    "World",
    "WorldAuthority",
    "create_world",
    "free_ports",
    "make_verzoek",
    "notification_xml",
    "random_spec",
    "running_adapter",
    "verzoeknummer",
]
