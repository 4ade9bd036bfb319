# SPDX-License-Identifier: EUPL-1.2

"""Connecting an authority to an environment of DSO-LV: its steps, and the evidence of each."""

from adapter.connecting.agreeing import check_cpa, publication_of
from adapter.connecting.evidence import (
    CertificateFacts,
    Evidence,
    Outcome,
    Remark,
    Result,
    Step,
    Subject,
    Trouble,
)
from adapter.connecting.folder import Folder, FolderProblem
from adapter.connecting.ground import Ground, Publisher
from adapter.connecting.publishing import Publication
from adapter.connecting.walk import Progress, Walked, missing_before_production, take_step, walk
from adapter.connecting.words import advice, step_title

__all__ = [
    "CertificateFacts",
    "Evidence",
    "Folder",
    "FolderProblem",
    "Ground",
    "Outcome",
    "Progress",
    "Publication",
    "Publisher",
    "Remark",
    "Result",
    "Step",
    "Subject",
    "Trouble",
    "Walked",
    "advice",
    "check_cpa",
    "missing_before_production",
    "publication_of",
    "step_title",
    "take_step",
    "walk",
]
