# SPDX-License-Identifier: EUPL-1.2

"""What ends one day, as the daemon follows it and pages show it: certificates and agreements."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

WARNING: Final = timedelta(days=60)
"""How long before an end it is said: a new certificate takes weeks to get, and a new CPA weeks to agree."""


@dataclass(frozen=True, slots=True)
class Ending:
    """Something that ends: a certificate, or (`kind` agreement) a CPA; `authority` is empty for what serves all."""

    kind: str
    authority: str
    what: str
    end: datetime

    def warning(self, now: datetime) -> str:
        """The sentence for an operator."""
        whose = f"authority {self.authority}: " if self.authority else ""
        days = (self.end - now).days
        when = f"ends in {days} days" if self.end > now else "has ended"
        return f"{whose}{self.kind} {self.what} {when} ({self.end:%Y-%m-%d}); get a successor and install it"
