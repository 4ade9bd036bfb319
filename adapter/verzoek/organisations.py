# SPDX-License-Identifier: EUPL-1.2

"""Who is competent and who handles it, now and before (STAM 4.0 BevoegdGezag and UitvoerendeInstantie)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from lxml import etree

from adapter.verzoek.elements import Fields
from adapter.verzoek.values import dutch_moment


@dataclass(frozen=True, slots=True)
class Tijdvak:
    """From when to when; both as the text that came, the end absent while it lasts."""

    begin_geldigheid: str | None = None
    eind_geldigheid: str | None = None

    @property
    def begin(self) -> datetime | None:
        """When it begins."""
        return dutch_moment(self.begin_geldigheid)

    @property
    def end(self) -> datetime | None:
        """When it ends."""
        return dutch_moment(self.eind_geldigheid)


@dataclass(frozen=True, slots=True)
class Organisatie:
    """A bevoegd gezag or behandeldienst. The naam can be absent, or be just the OIN."""

    oin: str
    naam: str | None = None
    tijdvak_geldigheid: Tijdvak | None = None


def read_organisatie(element: etree._Element | None) -> Organisatie | None:
    """Read an organisation; None where there is none, or none with an OIN."""
    if element is None:
        return None
    fields = Fields(element)
    oin = fields.text("oin")
    if oin is None:
        return None
    return Organisatie(oin, fields.text("naam"), _tijdvak(fields.first("tijdvakGeldigheid")))


def read_organisaties(elements: Sequence[etree._Element]) -> tuple[Organisatie, ...]:
    """Read the organisations of a history."""
    read = (read_organisatie(element) for element in elements)
    return tuple(organisatie for organisatie in read if organisatie is not None)


def _tijdvak(element: etree._Element | None) -> Tijdvak | None:
    if element is None:
        return None
    fields = Fields(element)
    return Tijdvak(fields.text("beginGeldigheid"), fields.text("eindGeldigheid"))
