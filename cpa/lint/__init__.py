# SPDX-License-Identifier: EUPL-1.2

"""Checks of a CPA against the rules of Digikoppeling (the import checks of a CPA, PRF to CPA).

A rule is a small function that looks at one thing; the tables pair each with the id of its requirement.
That the document is structurally a CPA, with references that resolve, is the parser's to say.
"""

from datetime import datetime

from cpa.lint.actions import ACTION_RULES
from cpa.lint.certificates import CERTIFICATE_RULES
from cpa.lint.channels import CHANNEL_RULES
from cpa.lint.document import DOCUMENT_RULES
from cpa.lint.finding import Finding, RuleTable, Scope, Severity
from cpa.model import CollaborationProtocolAgreement

__all__ = ["RULES", "Finding", "Severity", "lint"]

RULES: RuleTable = DOCUMENT_RULES + ACTION_RULES + CHANNEL_RULES + CERTIFICATE_RULES
_ORDER = tuple(Severity)


def lint(document: CollaborationProtocolAgreement, *, production: bool, now: datetime) -> tuple[Finding, ...]:
    """Check a CPA; the findings, errors first.

    `production` is False where test certificates, test OINs and plain HTTP are allowed.
    """
    scope = Scope(document, production, now)
    findings = dict.fromkeys(
        Finding(problem.severity, rule, problem.where, problem.message)
        for rule, check in RULES
        for problem in check(scope)
    )
    return tuple(sorted(findings, key=lambda finding: _ORDER.index(finding.severity)))
