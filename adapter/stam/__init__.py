# SPDX-License-Identifier: EUPL-1.2

"""STAM: collecting a verzoek from Verzoek afhandelen, and asking for missed ones."""

from adapter.stam.asking import RequestObserver, unobserved
from adapter.stam.client import DsoSettings, VerzoekAfhandelen
from adapter.stam.collect import Collector, CollectSettings, SinkFor, collect_job, deliver_job, dso_lane
from adapter.stam.download import Downloaded
from adapter.stam.problems import FetchProblem
from adapter.stam.progress import Progress
from adapter.stam.reconcile import Finding, Plan, Reconciler, Reconciliation, Verdict, judge
from adapter.stam.references import Link, LinkKind, LinkRules, References, ReferencesProblem, read_references
from adapter.stam.search import (
    Hit,
    Question,
    SearchResult,
    SearchSettings,
    VerzoekZoeken,
)
from adapter.stam.strategies import DirectPaths

__all__ = [
    "CollectSettings",
    "Collector",
    "DirectPaths",
    "Downloaded",
    "DsoSettings",
    "FetchProblem",
    "Finding",
    "Hit",
    "Link",
    "LinkKind",
    "LinkRules",
    "Plan",
    "Progress",
    "Question",
    "Reconciler",
    "Reconciliation",
    "References",
    "ReferencesProblem",
    "RequestObserver",
    "SearchResult",
    "SearchSettings",
    "SinkFor",
    "Verdict",
    "VerzoekAfhandelen",
    "VerzoekZoeken",
    "collect_job",
    "deliver_job",
    "dso_lane",
    "judge",
    "read_references",
    "unobserved",
]
