# SPDX-License-Identifier: EUPL-1.2

"""The options of a zgw sink: where the APIs are, who we are to them, and which verzoek becomes which zaaktype."""

import re
from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Final, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from adapter.config import ByteSize, Duration
from adapter.delivery import OptionPath, SinkOptions
from adapter.sinks.connection import ConnectionOptions
from adapter.sinks.rules import Text, TypesOfFiles, VerzoekRule, check_order

NOTHING: Final = "none"
INITIAL_STATUS: Final = "initial"
_LARGEST_INLINE: Final = 16 * 1024 * 1024
_NINE_DIGITS = re.compile(r"[0-9]{9}")
_LAST_WEIGHT: Final = -1


class Vertrouwelijkheid(StrEnum):
    """The vertrouwelijkheidaanduidingen of the ZGW standard, the most public first."""

    OPENBAAR = "openbaar"
    BEPERKT_OPENBAAR = "beperkt_openbaar"
    INTERN = "intern"
    ZAAKVERTROUWELIJK = "zaakvertrouwelijk"
    VERTROUWELIJK = "vertrouwelijk"
    CONFIDENTIEEL = "confidentieel"
    GEHEIM = "geheim"
    ZEER_GEHEIM = "zeer_geheim"


def is_eleven_proof(number: str) -> bool:
    """Whether nine digits can be an RSIN or a burgerservicenummer (elfproef); servers refuse those that cannot."""
    if _NINE_DIGITS.fullmatch(number) is None:
        return False
    weights = (9, 8, 7, 6, 5, 4, 3, 2, _LAST_WEIGHT)
    return sum(int(digit) * weight for digit, weight in zip(number, weights, strict=True)) % 11 == 0


def _rsin(text: str) -> str:
    if not is_eleven_proof(text):
        raise ValueError(f"{text!r} is not an RSIN; write its nine digits (the last one is a check digit)")
    return text


def _prefix(text: str) -> str:
    if re.fullmatch(r"[A-Za-z0-9_-]{0,12}", text) is None:
        raise ValueError(f"{text!r} is not a prefix; use at most 12 letters, digits, '-' and '_'")
    return text


Rsin = Annotated[str, AfterValidator(_rsin)]


class CatalogusOptions(SinkOptions):
    """`catalogus`: the catalogue of types, by `domein` and `rsin`, or by its `url`."""

    domein: Text | None = None
    rsin: Rsin | None = None
    url: str | None = None

    @model_validator(mode="after")
    def _known(self) -> Self:
        if (self.domein is None) != (self.rsin is None) or (self.domein is None) == (self.url is None):
            raise ValueError("give domein and rsin, or url")
        return self


class InformatieobjecttypenOptions(TypesOfFiles):
    """`informatieobjecttypen`: the omschrijving of the type of each kind of file."""

    @property
    def all(self) -> tuple[str, ...]:
        """Every omschrijving there is, once."""
        return tuple(dict.fromkeys((self.verzoek, self.pdf, self.document, *self.soorten.values())))


class ZaaktypeRule(VerzoekRule):
    """One of `zaaktypen`: what becomes of the verzoeken it matches; the first that matches wins.

    The statuses are set when everything is there: `status` on a new zaak, the others on one that is added to or
    withdrawn; `"none"` sets none, `"initial"` the first of the zaaktype.
    """

    zaaktype: Text
    informatieobjecttypen: InformatieobjecttypenOptions | None = None
    status: Text = INITIAL_STATUS
    status_aanvullen: Text = NOTHING
    status_intrekken: Text = NOTHING
    vertrouwelijkheidaanduiding: Vertrouwelijkheid | None = None

    @property
    def statuses(self) -> tuple[str, ...]:
        """The statuses that it sets, each once."""
        named = (self.status, self.status_aanvullen, self.status_intrekken)
        return tuple(dict.fromkeys(one for one in named if one != NOTHING))

    @model_validator(mode="after")
    def _possible(self) -> Self:
        for name in ("status_aanvullen", "status_intrekken"):
            if getattr(self, name) == INITIAL_STATUS:
                raise ValueError(f'{name}: "initial" is for a new zaak; name a statustype, or "none"')
        return self


class RolOptions(SinkOptions):
    """`rollen`: the roltype of each party, by omschrijving or omschrijvingGeneriek; `"none"` makes no rol."""

    initiatiefnemer: Text = "initiator"
    gemachtigde: Text = NOTHING

    @model_validator(mode="after")
    def _told_apart(self) -> Self:
        if self.initiatiefnemer == self.gemachtigde != NOTHING:
            raise ValueError("initiatiefnemer and gemachtigde are the same roltype; give each its own")
        return self

    @property
    def all(self) -> tuple[str, ...]:
        """The roltypen that are used."""
        return tuple(one for one in (self.initiatiefnemer, self.gemachtigde) if one != NOTHING)


class ZgwOptions(ConnectionOptions):
    """The options of a zgw sink; `docs/sinks.md` describes each.

    `zaken`, `documenten` and `catalogi` are the base URLs of the three APIs.
    """

    zaken: str
    documenten: str
    catalogi: str
    client_id: Text
    secret_file: OptionPath
    user_id: str | None = None
    user_representation: str | None = None
    bronorganisatie: Rsin
    verantwoordelijke_organisatie: Rsin | None = None
    catalogus: CatalogusOptions
    prefix: Annotated[str, AfterValidator(_prefix)] = "DSO-"
    identificatie: Literal["derived", "server"] = "derived"
    inline: ByteSize = 1024 * 1024
    cache: Duration = timedelta(hours=1)
    rollen: RolOptions = RolOptions()
    zaakgeometrie: bool = True
    zaakobjecten: bool = False
    vertrouwelijk: Vertrouwelijkheid = Vertrouwelijkheid.VERTROUWELIJK
    openbaar: Vertrouwelijkheid | None = None
    informatieobjecttypen: InformatieobjecttypenOptions | None = None
    zaaktypen: Annotated[tuple[ZaaktypeRule, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.inline > _LARGEST_INLINE:
            raise ValueError(
                f"inline: {self.inline} bytes would be in memory at a time, as base64; choose at most 16 MiB"
            )
        for number, rule in enumerate(self.zaaktypen):
            if rule.informatieobjecttypen is None and self.informatieobjecttypen is None:
                raise ValueError(
                    f"zaaktypen[{number}] has no informatieobjecttypen; give it some, or give the sink some for all"
                )
        check_order("zaaktypen", self.zaaktypen)
        return self

    @property
    def is_numbered_by_server(self) -> bool:
        """Whether the server gives a zaak its identificatie."""
        return self.identificatie == "server"

    def types_of(self, rule: ZaaktypeRule) -> InformatieobjecttypenOptions:
        """The informatieobjecttypen of a rule: its own, else those of the sink."""
        found = rule.informatieobjecttypen or self.informatieobjecttypen
        if found is None:
            raise ValueError("a rule without informatieobjecttypen was let through")
        return found
