"""STAM: notification, verzoekbericht, and collecting a verzoek from Verzoek afhandelen."""

from adapter.stam.client import DsoSettings, VerzoekAfhandelen
from adapter.stam.collect import Collector, CollectSettings, deliver_job
from adapter.stam.notification import Notification, NotificationProblem, NotificationRules, read_notification
from adapter.stam.problems import FetchProblem
from adapter.stam.references import Link, LinkKind, LinkRules, References, ReferencesProblem, read_references
from adapter.stam.verzoekbericht import (
    Document,
    Organisatie,
    Verzoekbericht,
    VerzoekberichtProblem,
    read_verzoekbericht,
)

__all__ = [
    "CollectSettings",
    "Collector",
    "Document",
    "DsoSettings",
    "FetchProblem",
    "Link",
    "LinkKind",
    "LinkRules",
    "Notification",
    "NotificationProblem",
    "NotificationRules",
    "Organisatie",
    "References",
    "ReferencesProblem",
    "VerzoekAfhandelen",
    "Verzoekbericht",
    "VerzoekberichtProblem",
    "deliver_job",
    "read_notification",
    "read_references",
    "read_verzoekbericht",
]
