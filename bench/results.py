# SPDX-License-Identifier: EUPL-1.2

"""What a run came to: rows, single figures, and what could not be measured and why."""

from dataclasses import asdict, dataclass, field
from typing import Any

from bench.measuring import Figures
from bench.processes import Start


@dataclass(frozen=True, slots=True)
class Row:
    """A receiver under one case; `until` is how far its messages went: answered, or delivered to the sink."""

    receiver: str
    case: str
    until: str
    figures: Figures


ANSWERED, DELIVERED = "answered", "delivered"


@dataclass(frozen=True, slots=True)
class Peak:
    """Peak memory in MiB with a payload of a size, and the seconds until it was in the sink."""

    mebibytes: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Goal:
    """A goal beside its figure; `reached` is None where the figure is missing, for the reason in `figure`.

    `kind` is the same for goals that rows have alike.
    """

    kind: str
    what: str
    goal: str
    figure: str
    reached: bool | None


@dataclass(slots=True)
class Results:
    """Everything that was measured; CPU in milliseconds per message. `floor` is by profile, `missing` by receiver."""

    machine: str
    rows: list[Row] = field(default_factory=list)
    floor: dict[str, float] = field(default_factory=dict)
    memory: dict[str, Peak] = field(default_factory=dict)
    ready: dict[str, Start] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)

    def find(self, receiver: str, case: str, until: str = ANSWERED) -> Row | None:
        """The row of a receiver, if it was measured."""
        wanted = (receiver, case, until)
        return next((row for row in self.rows if (row.receiver, row.case, row.until) == wanted), None)

    def floor_of(self, case: str) -> float:
        """The floor under a case: that of its profile."""
        return self.floor[case.partition(" ")[0]]

    def why(self, what: str) -> str:
        """Why something was not measured: the reason of what it is part of."""
        return next((why for part, why in self.missing.items() if what.startswith(part)), "not measured")

    def as_json(self) -> dict[str, Any]:
        """The same as JSON takes it."""
        return asdict(self)
