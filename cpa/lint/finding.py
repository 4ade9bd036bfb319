# SPDX-License-Identifier: EUPL-1.2

"""What a check says, and what it looks at."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from cpa.lookup import Pair, pairs
from cpa.model import CollaborationProtocolAgreement, DeliveryChannel, PartyInfo


class Severity(StrEnum):
    """ERROR: traffic will fail or is forbidden. WARNING: look at it. INFO: good to know."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as Digikoppeling wants it.

    `rule` is the id of the requirement, `where` the element with its id, `message` one line that says what
    is wrong and why it matters.
    """

    severity: Severity
    rule: str
    where: str
    message: str

    def __str__(self) -> str:
        return f"{self.severity}: {self.rule}: {self.where}: {self.message}"


@dataclass(frozen=True, slots=True)
class Problem:
    """A finding before it has the id of the rule that found it."""

    severity: Severity
    where: str
    message: str


@dataclass(frozen=True, slots=True)
class Scope:
    """What a rule may look at: the document, the kind of environment and the moment."""

    document: CollaborationProtocolAgreement
    production: bool
    now: datetime

    @property
    def forbidden_in_production(self) -> Severity:
        """The severity of what production refuses and a test environment allows."""
        return Severity.ERROR if self.production else Severity.INFO

    def directions(self) -> Iterator[tuple[PartyInfo, PartyInfo]]:
        """Both pairs of (sender, receiver)."""
        first, second = self.document.parties
        yield first, second
        yield second, first

    def pairs(self) -> Iterator[Pair]:
        """Every action that one party sends and the other receives."""
        for sender, receiver in self.directions():
            yield from pairs(sender, receiver)

    def channels(self) -> Iterator[tuple[PartyInfo, DeliveryChannel]]:
        """Every delivery channel, with its party."""
        for party in self.document.parties:
            for channel in party.channels:
                yield party, channel


Rule = Callable[[Scope], Iterator[Problem]]
RuleTable = tuple[tuple[str, Rule], ...]
