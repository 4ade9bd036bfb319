# SPDX-License-Identifier: EUPL-1.2

"""The options of one competent authority: its agreements, notifications, routes and sinks."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import (
    AfterValidator,
    Field,
    ValidationInfo,
    model_validator,
)

from adapter.config.dso import DsoConfig
from adapter.config.files import paths_in
from adapter.config.key_files import KeyFiles, SpareKeyFiles
from adapter.config.publish import PublishConfig
from adapter.config.reconcile import ReconcileConfig
from adapter.config.retention import RetentionConfig
from adapter.config.values import (
    ByteSize,
    ConfigPath,
    ElementName,
    ElementPaths,
    Name,
    Oin,
    Party,
    Period,
    Section,
    freeze,
    resolve,
)
from adapter.pki import strip_suffix
from adapter.verzoek import DEFAULT_ROOTS, NotificationRules, known_doel
from cpa import PartyId


class Flow(StrEnum):
    """What happens with a received message: collect the verzoek and deliver that, or deliver its payloads."""

    STAM = "stam"
    MESSAGE = "message"


class CertificateRenewal(StrEnum):
    """Which certificate may sign for the partner: another one with the same OIN too, or only the one in the
    CPA.
    """

    SAME_OIN = "same-oin"
    CPA = "cpa"


class AgreementConfig(Section):
    """``[authorities.<name>.agreements."<CPA id>"]``: what differs from the defaults for one agreement."""

    acts_for: tuple[Oin, ...] = ()
    certificate_renewal: CertificateRenewal = CertificateRenewal.SAME_OIN
    legacy: bool = False
    lenient: bool = False
    strict: bool = False
    max_message: ByteSize | None = None
    ping_every: Period | None = None
    ping_failures: Annotated[int, Field(ge=1, le=100)] | None = None

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if self.lenient and self.strict:
            raise ValueError("lenient and strict are both true; choose one")
        return self


class NotificationConfig(Section):
    """``[authorities.<name>.notification]``: what a notification is called and where it says what, by local
    names; without paths, volgnummer, doel and type are looked for beside the verzoeknummer.
    """

    roots: Annotated[tuple[ElementName, ...], Field(min_length=1)] = DEFAULT_ROOTS
    verzoeknummer: Annotated[ElementPaths, Field(min_length=1)] = ("verzoeknummer",)
    volgnummer: ElementPaths = ()
    doel: ElementPaths = ()
    type: ElementPaths = ()

    @property
    def rules(self) -> NotificationRules:
        """How to read a notification of this authority."""
        return NotificationRules(self.roots, self.verzoeknummer, self.volgnummer, self.doel, self.type)


@dataclass(frozen=True, slots=True)
class VerzoekTraits:
    """What a route can choose a verzoek by; organisations by their OIN. `copy`: it is another's to handle."""

    doel: str | None
    type: str | None
    copy: bool
    bevoegd_gezag: str | None
    behandeldienst: str | None


def _doel(text: str | None) -> str | None:
    """A doel as STAM 4.0 calls it, where it is known."""
    return known_doel(text) or text


class RouteConfig(Section):
    """``[[authorities.<name>.routes]]``: which messages take which flow to which sink; left out matches
    all.

    What is said of the verzoek itself counts once it was collected.
    """

    service: str | None = None
    action: str | None = None
    flow: Flow
    sink: str
    doel: tuple[str, ...] = ()
    type: tuple[str, ...] = ()
    copies: bool | None = None
    bevoegd_gezag: tuple[Oin, ...] = ()
    behandeldienst: tuple[Oin, ...] = ()

    @model_validator(mode="after")
    def _knows_what_it_asks_for(self) -> Self:
        chosen = [self.doel, self.type, self.bevoegd_gezag, self.behandeldienst]
        if self.flow is Flow.MESSAGE and (any(chosen) or self.copies is not None):
            raise ValueError(
                'flow "message" knows no verzoek; leave out doel, type, copies, bevoegd_gezag and behandeldienst'
            )
        return self

    def takes(self, verzoek: VerzoekTraits) -> bool:
        """Whether a verzoek is what this route asks for."""
        wanted = (
            ([_doel(doel) for doel in self.doel], _doel(verzoek.doel)),
            (self.type, verzoek.type),
            (self.bevoegd_gezag, verzoek.bevoegd_gezag),
            (self.behandeldienst, verzoek.behandeldienst),
        )
        return self.copies in {None, verzoek.copy} and all(
            not asked or found in asked for asked, found in wanted
        )


def _sink_table(table: Mapping[str, Any], info: ValidationInfo) -> Mapping[str, Any]:
    kind = table.get("type")
    if not isinstance(kind, str) or not kind:
        raise ValueError('has no type; add one, as type = "directory"')
    path = table.get("path")
    located = dict(table) | ({"path": str(resolve(Path(path), info))} if isinstance(path, str) else {})
    frozen: Mapping[str, Any] = freeze(located)
    return frozen


# The options of a sink stay a raw table here: only the sink knows them, and it stands on a higher floor.
SinkTable = Annotated[Mapping[str, Any], AfterValidator(_sink_table)]


class AuthorityConfig(KeyFiles):
    """``[authorities.<name>]``: one competent authority, with what it agreed, and where its messages go."""

    party: Party
    cpas: tuple[ConfigPath, ...] = ()
    spare_keys: tuple[SpareKeyFiles, ...] = ()
    ping_every: Period = timedelta()
    ping_failures: Annotated[int, Field(ge=1, le=100)] = 3
    agreements: Annotated[Mapping[str, AgreementConfig], AfterValidator(freeze)] = Field(
        default_factory=lambda: freeze({})
    )
    dso: DsoConfig | None = None
    notification: NotificationConfig = NotificationConfig()
    retention: RetentionConfig = RetentionConfig()
    reconcile: ReconcileConfig | None = None
    publish: PublishConfig | None = None
    routes: tuple[RouteConfig, ...] = ()
    sinks: Annotated[Mapping[Name, SinkTable], AfterValidator(freeze)] = Field(
        default_factory=lambda: freeze({})
    )

    @property
    def key_files(self) -> tuple[Path, ...]:
        """Every file that is named here, as those of keys, but for CPAs and what is named by the sinks."""
        return tuple(paths_in({name: value for name, value in self if name != "cpas"}))

    @property
    def party_id(self) -> PartyId:
        """The PartyId that ``party`` writes as ``type:value``, or without a type."""
        kind, _, value = self.party.rpartition(":")
        return PartyId(value, kind or None)

    @property
    def oin(self) -> str:
        """The OIN in ``party``, without the suffix of a test environment (OIN-07)."""
        return strip_suffix(self.party_id.value)

    def ping_every_of(self, cpa_id: str) -> timedelta | None:
        """How often the partner of an agreement is pinged; None for never."""
        own = self.agreements.get(cpa_id)
        every = self.ping_every if own is None or own.ping_every is None else own.ping_every
        return every or None

    def ping_failures_of(self, cpa_id: str) -> int:
        """After how many failures in a row the partner of an agreement counts as unreachable."""
        own = self.agreements.get(cpa_id)
        return self.ping_failures if own is None or own.ping_failures is None else own.ping_failures

    @property
    def stam_sink(self) -> str | None:
        """The sink of the first route with flow ``stam``, where a verzoek goes that no message announced."""
        return next((route.sink for route in self.routes if route.flow is Flow.STAM), None)
