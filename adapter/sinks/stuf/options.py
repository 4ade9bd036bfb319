# SPDX-License-Identifier: EUPL-1.2

"""The options of a stuf-zds sink: where the receiver is, who we are to it, and which verzoek becomes which zaaktype."""

import re
from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from adapter.config import ByteSize
from adapter.delivery import OptionPath, SinkOptions
from adapter.sinks.access import BasicOptions, SecretFile
from adapter.sinks.connection import ConnectionOptions
from adapter.sinks.rules import Text, TypesOfFiles, VerzoekRule, check_order
from adapter.sinks.soap import SoapVersion


class Vertrouwelijkheid(StrEnum):
    """The vertrouwelijkAanduidingen of StUF-ZKN, the most public first."""

    OPENBAAR = "OPENBAAR"
    BEPERKT_OPENBAAR = "BEPERKT OPENBAAR"
    INTERN = "INTERN"
    ZAAKVERTROUWELIJK = "ZAAKVERTROUWELIJK"
    VERTROUWELIJK = "VERTROUWELIJK"
    CONFIDENTIEEL = "CONFIDENTIEEL"
    GEHEIM = "GEHEIM"
    ZEER_GEHEIM = "ZEER GEHEIM"


def _gemeentecode(text: str) -> str:
    if re.fullmatch(r"[0-9]{4}", text) is None:
        raise ValueError(f"{text!r} is not a gemeentecode; write its four digits, as 0363")
    return text


class Systeem(SinkOptions):
    """`zender` and `ontvanger`: a system as the stuurgegevens name it."""

    organisatie: Annotated[str, Field(max_length=200)]
    applicatie: Text
    administratie: Annotated[str, Field(max_length=50)] | None = None
    gebruiker: Annotated[str, Field(max_length=100)] | None = None


class Type(SinkOptions):
    """A zaaktype or statustype of the receiver, by its code and omschrijving."""

    code: Text
    omschrijving: Annotated[str, Field(max_length=80)] | None = None


class ZaaktypeRule(VerzoekRule):
    """One of `zaaktypen`: the zaaktype of the verzoeken it matches; the first that matches wins.

    The statuses are those of a new zaak, of one that is added to and of one that is withdrawn; None sets none.
    """

    zaaktype: Type
    status: Type | None = None
    status_aanvullen: Type | None = None
    status_intrekken: Type | None = None
    documenttypen: TypesOfFiles | None = None


class WssOptions(SinkOptions):
    """`wss`: the name and password of the WS-Security header; `digest` sends a digest for the password."""

    username: Text
    password_file: OptionPath
    digest: bool = False

    @property
    def secret(self) -> SecretFile:
        """Where the password is."""
        return SecretFile("wss.password_file", self.password_file)


class StufZdsOptions(ConnectionOptions):
    """The options of a stuf-zds sink; `docs/sinks.md` describes each.

    `vrije_berichten` and `ontvang_asynchroon` are the addresses of the two services of the receiver.
    """

    vrije_berichten: str
    ontvang_asynchroon: str
    soap: SoapVersion = SoapVersion.V1_1
    basic: BasicOptions | None = None
    wss: WssOptions | None = None
    zender: Systeem
    ontvanger: Systeem
    identificatie: Literal["generated", "own"] = "generated"
    gemeentecode: Annotated[str, AfterValidator(_gemeentecode)] | None = None
    vertrouwelijk: Vertrouwelijkheid = Vertrouwelijkheid.VERTROUWELIJK
    openbaar: Vertrouwelijkheid = Vertrouwelijkheid.ZAAKVERTROUWELIJK
    extra_elementen: bool = True
    max_document: ByteSize = 50 * 1024 * 1024
    too_large: Literal["park", "skip"] = "park"
    documenttypen: TypesOfFiles | None = None
    zaaktypen: Annotated[tuple[ZaaktypeRule, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.is_numbered_here and self.gemeentecode is None:
            raise ValueError('identificatie = "own" needs gemeentecode: its four digits begin every number')
        check_order("zaaktypen", self.zaaktypen)
        for number, rule in enumerate(self.zaaktypen):
            if rule.documenttypen is None and self.documenttypen is None:
                raise ValueError(
                    f"zaaktypen[{number}] has no documenttypen; give it some, or give the sink some for all"
                )
        return self

    @property
    def secrets(self) -> tuple[SecretFile, ...]:
        """Where the passwords are."""
        return tuple(one.secret for one in (self.wss, self.basic) if one is not None)

    @property
    def is_numbered_here(self) -> bool:
        """Whether zaken and documents get numbers of our own."""
        return self.identificatie == "own"

    def types_of(self, rule: ZaaktypeRule) -> TypesOfFiles:
        """The documenttypen of a rule: its own, else those of the sink."""
        found = rule.documenttypen or self.documenttypen
        if found is None:
            raise ValueError("a rule without documenttypen was let through")
        return found
