"""The message service handler: receives and sends ebMS messages for all authorities."""

from adapter.msh.endpoint import Endpoint
from adapter.msh.intake import Intake
from adapter.msh.outbox import Outbox
from adapter.msh.partners import Partners
from adapter.msh.ping import PING_LIFE, new_ping
from adapter.msh.receive import Receiver
from adapter.msh.reply import new_message_id, send_job

__all__ = [
    "PING_LIFE",
    "Endpoint",
    "Intake",
    "Outbox",
    "Partners",
    "Receiver",
    "new_message_id",
    "new_ping",
    "send_job",
]
