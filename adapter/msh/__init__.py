# SPDX-License-Identifier: EUPL-1.2

"""The message service handler: receives and sends ebMS messages for all authorities."""

from adapter.msh.digests import SpooledPayloads
from adapter.msh.endpoint import Endpoint
from adapter.msh.identity import Identifier
from adapter.msh.intake import Intake
from adapter.msh.outbox import Outbox
from adapter.msh.partners import Partners
from adapter.msh.ping import PING_LIFE, await_answer, new_ping
from adapter.msh.pinger import Pinger
from adapter.msh.pressure import Load, Pressure, Room
from adapter.msh.proxy import LARGEST_CERTIFICATES, Proxies
from adapter.msh.receive import Receiver
from adapter.msh.reply import new_message_id, send_job
from adapter.msh.responses import ResponseReader
from adapter.msh.status import STATUS_LIFE, MessageStatus, new_status_request
from adapter.msh.submit import Submission, SubmissionRefused, SubmittedPayload, Submitter

__all__ = [
    "LARGEST_CERTIFICATES",
    "PING_LIFE",
    "STATUS_LIFE",
    "Endpoint",
    "Identifier",
    "Intake",
    "Load",
    "MessageStatus",
    "Outbox",
    "Partners",
    "Pinger",
    "Pressure",
    "Proxies",
    "Receiver",
    "ResponseReader",
    "Room",
    "SpooledPayloads",
    "Submission",
    "SubmissionRefused",
    "SubmittedPayload",
    "Submitter",
    "await_answer",
    "new_message_id",
    "new_ping",
    "new_status_request",
    "send_job",
]
