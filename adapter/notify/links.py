# SPDX-License-Identifier: EUPL-1.2

"""Where on the status page people find what they are told of."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from adapter.config import NotificationEvent
from adapter.rendering import (
    CPA_PATH,
    HOME_PATH,
    LANES_PATH,
    PARKED_PATH,
    PARTNERS_PATH,
    VERZOEK_PATH,
    fill_path,
)
from adapter.store import StoredAlert

_PAGES: Final[Mapping[NotificationEvent, str]] = {
    NotificationEvent.PARKED: PARKED_PATH,
    NotificationEvent.PARTNER: PARTNERS_PATH,
    NotificationEvent.SINK: LANES_PATH,
    NotificationEvent.DSO: LANES_PATH,
    NotificationEvent.BACKLOG: LANES_PATH,
    NotificationEvent.CPA: CPA_PATH,
}


@dataclass(frozen=True, slots=True)
class Links:
    """The addresses on the status page below `base`; None where nobody said where that is ([admin] url)."""

    base: str | None

    def home(self) -> str | None:
        """The overview."""
        return self._below(HOME_PATH)

    def of(self, alert: StoredAlert) -> str | None:
        """The page of what an alert is about."""
        verzoeknummer = alert.detail.get("verzoeknummer")
        if alert.event is NotificationEvent.PARKED and verzoeknummer:
            path = fill_path(VERZOEK_PATH, authority=alert.authority, verzoeknummer=verzoeknummer)
        else:
            path = fill_path(_PAGES.get(alert.event, HOME_PATH), cpaId=alert.what)
        return self._below(path)

    def _below(self, path: str) -> str | None:
        return None if self.base is None else f"{self.base.rstrip('/')}{path}"
