# SPDX-License-Identifier: EUPL-1.2

"""The language of STAM: notification and verzoekbericht as typed models. Pure: no sockets, database, clock."""

from adapter.verzoek.activities import (
    Document,
    GevraagdeBijlage,
    OnderliggendeActiviteit,
    Projectactiviteit,
    Specificatie,
    VerzoekBijlage,
)
from adapter.verzoek.addresses import Afwijkendadres, Binnenlandsadres, Buitenlandsadres, Contactadres
from adapter.verzoek.bsn import without_bsn
from adapter.verzoek.geometry import Crs, Point, Polygon, Position, Surface
from adapter.verzoek.kinds import STAM_TYPES, Doel, VerzoekType, known_doel
from adapter.verzoek.notification import (
    DEFAULT_ROOTS,
    MAX_NUMBER_LENGTH,
    Notification,
    NotificationProblem,
    NotificationRules,
    announced_volgnummer,
    read_notification,
)
from adapter.verzoek.organisations import Organisatie, Tijdvak
from adapter.verzoek.people import (
    Contactpersoon,
    Initiatiefnemer,
    NatuurlijkPersoon,
    NietNatuurlijkPersoon,
    Vestiging,
)
from adapter.verzoek.places import Adresaanduiding, Coordinaten, KadastraleAanduiding, Projectlocatie
from adapter.verzoek.problem import VerzoekberichtProblem
from adapter.verzoek.values import (
    DUTCH_TIME,
    Answer,
    Answers,
    boolean,
    dutch_moment,
    preferred,
    preferred_text,
)
from adapter.verzoek.verzoekbericht import (
    Participatie,
    Project,
    Stuurgegevens,
    Systeem,
    Verzoekbericht,
    read_verzoekbericht,
)
from adapter.verzoek.wire import as_document

__all__ = [
    "DEFAULT_ROOTS",
    "DUTCH_TIME",
    "MAX_NUMBER_LENGTH",
    "STAM_TYPES",
    "Adresaanduiding",
    "Afwijkendadres",
    "Answer",
    "Answers",
    "Binnenlandsadres",
    "Buitenlandsadres",
    "Contactadres",
    "Contactpersoon",
    "Coordinaten",
    "Crs",
    "Document",
    "Doel",
    "GevraagdeBijlage",
    "Initiatiefnemer",
    "KadastraleAanduiding",
    "NatuurlijkPersoon",
    "NietNatuurlijkPersoon",
    "Notification",
    "NotificationProblem",
    "NotificationRules",
    "OnderliggendeActiviteit",
    "Organisatie",
    "Participatie",
    "Point",
    "Polygon",
    "Position",
    "Project",
    "Projectactiviteit",
    "Projectlocatie",
    "Specificatie",
    "Stuurgegevens",
    "Surface",
    "Systeem",
    "Tijdvak",
    "VerzoekBijlage",
    "VerzoekType",
    "Verzoekbericht",
    "VerzoekberichtProblem",
    "Vestiging",
    "announced_volgnummer",
    "as_document",
    "boolean",
    "dutch_moment",
    "known_doel",
    "preferred",
    "preferred_text",
    "read_notification",
    "read_verzoekbericht",
    "without_bsn",
]
