"""STAM: notification, verzoekbericht, collecting a verzoek from Verzoek afhandelen, and asking for missed ones."""

from adapter.stam.client import DsoSettings, VerzoekAfhandelen
from adapter.stam.collect import Collector, CollectSettings, SinkFor, collect_job, deliver_job
from adapter.stam.notification import Notification, NotificationProblem, NotificationRules, read_notification
from adapter.stam.problems import FetchProblem
from adapter.stam.reconcile import Finding, Plan, Reconciler, Reconciliation, Verdict, judge
from adapter.stam.references import Link, LinkKind, LinkRules, References, ReferencesProblem, read_references
from adapter.stam.search import (
    Hit,
    Question,
    SearchResult,
    SearchSettings,
    VerzoekZoeken,
)
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
    "Finding",
    "Hit",
    "Link",
    "LinkKind",
    "LinkRules",
    "Notification",
    "NotificationProblem",
    "NotificationRules",
    "Organisatie",
    "Plan",
    "Question",
    "Reconciler",
    "Reconciliation",
    "References",
    "ReferencesProblem",
    "SearchResult",
    "SearchSettings",
    "SinkFor",
    "Verdict",
    "VerzoekAfhandelen",
    "VerzoekZoeken",
    "Verzoekbericht",
    "VerzoekberichtProblem",
    "collect_job",
    "deliver_job",
    "judge",
    "read_notification",
    "read_references",
    "read_verzoekbericht",
]
