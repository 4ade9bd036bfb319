# SPDX-License-Identifier: EUPL-1.2

"""The options of Verzoek afhandelen: where it is, how the files of a verzoek are found, how fast it is asked, and by
whom.

Its OpenAPI document is not public. So paths, names of headers and relation names are options, and so is whether it
wants an access token or an API key beside the certificate and the OIN.
"""

import re
from collections.abc import Iterator, Mapping
from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Final, Literal, Self

from pydantic import AfterValidator, Field, field_validator, model_validator

from adapter.config.key_files import OtherKeyFiles
from adapter.config.values import ConfigPath, Duration, HeaderName, Rate, Section, check_url, freeze

_PLACEHOLDER: Final = re.compile(r"\{([^{}]*)\}")
_VERZOEK: Final = frozenset({"verzoeknummer", "volgnummer"})
_DOCUMENT: Final = _VERZOEK | {"documentId"}
_TAKEN: Final = frozenset({"authorization", "accept", "accept-encoding", "host", "range", "if-range"})
"""Headers that the adapter sets itself."""


class FetchStrategy(StrEnum):
    """How the files of a verzoek are found: by its references, or at addresses made after a pattern."""

    REFERENCES = "references"
    DIRECT = "direct"


class LinksConfig(Section):
    """``[authorities.<name>.dso.links]``: the relation names by which the references name each kind of link.

    They are compared without case and punctuation; a relation in none of the lists counts as a document.
    """

    verzoek: tuple[str, ...] = (
        "verzoek",
        "verzoekXML",
        "verzoekbericht",
        "stam",
        "stamXML",
        "xml",
        "samenvatting",
    )
    pdf: tuple[str, ...] = (
        "pdf",
        "verzoekPDF",
        "publiceerbarePDF",
        "publiceerbaarPDF",
        "publiceerbareVersie",
    )
    document: tuple[str, ...] = ("document", "documenten", "bijlage", "bijlagen")


class DirectConfig(Section):
    """``[authorities.<name>.dso.direct]``: where the STAM XML, the PDF and each document are, under `url`."""

    verzoek: str = "/verzoeken/{verzoeknummer}/samenvatting"
    pdf: str | None = None
    document: str | None = None

    @field_validator("verzoek", "pdf")
    @classmethod
    def _names_the_verzoek(cls, value: str | None) -> str | None:
        return None if value is None else _check_template(value, "verzoeknummer", _VERZOEK)

    @field_validator("document")
    @classmethod
    def _names_the_document(cls, value: str | None) -> str | None:
        return None if value is None else _check_template(value, "documentId", _DOCUMENT)


class OauthConfig(Section):
    """``[authorities.<name>.dso.oauth]``: an access token by client credentials, for every request."""

    token_url: str
    client_id: Annotated[str, Field(min_length=1)]
    client_secret_file: ConfigPath | None = None
    scope: str | None = None
    authentication: Literal["basic", "post"] = "basic"

    @field_validator("token_url")
    @classmethod
    def _is_url(cls, value: str) -> str:
        return check_url(value, "a URL")


class DsoConfig(OtherKeyFiles):
    """``[authorities.<name>.dso]``: the API Verzoek afhandelen, needed where a route has flow ``stam``."""

    url: str
    strategy: FetchStrategy = FetchStrategy.REFERENCES
    references: str = "/verzoeken/{verzoeknummer}"
    direct: DirectConfig = DirectConfig()
    search: str = "/verzoeken/_zoek"
    parameters: Annotated[Mapping[str, str], AfterValidator(freeze)] = Field(
        default_factory=lambda: freeze({})
    )
    oin_header: HeaderName = "OIN"
    hosts: tuple[str, ...] = ()
    links: LinksConfig = LinksConfig()
    check_announced: bool = True
    timeout: Duration = timedelta(seconds=60)
    concurrency: Annotated[int, Field(ge=1, le=1000)] = 4
    rate: Rate | None = None
    api_key_file: ConfigPath | None = None
    api_key_header: HeaderName = "x-api-key"
    oauth: OauthConfig | None = None

    @property
    def direct_paths(self) -> DirectConfig | None:
        """Where to fetch directly; None where references are asked for."""
        return self.direct if self.strategy is FetchStrategy.DIRECT else None

    @property
    def asks_volgnummer(self) -> bool:
        """Whether a verzoek can only be found by the volgnummer of what was announced."""
        paths = self.direct_paths
        templates = (self.references,) if paths is None else (paths.verzoek, paths.pdf or "")
        return any("{volgnummer}" in template for template in templates)

    @field_validator("url")
    @classmethod
    def _is_base_url(cls, value: str) -> str:
        return check_url(value)

    @field_validator("references")
    @classmethod
    def _names_the_verzoek(cls, value: str) -> str:
        return _check_template(value, "verzoeknummer", _VERZOEK)

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        for fault in self._faults():
            raise ValueError(fault)
        return self

    def _faults(self) -> Iterator[str]:
        if (self.certificate is None) != (self.key is None):
            yield "certificate and key go together; give both, or neither to use the authority's"
        names = [self.oin_header.lower()] + [self.api_key_header.lower()] * (self.api_key_file is not None)
        if len(set(names)) < len(names):
            yield "oin_header and api_key_header are the same header; give the API key another one"
        for name in sorted(_TAKEN.intersection(names)):
            yield f"the header {name} has a use of its own; give the OIN and the API key other headers"


def _check_template(value: str, required: str, known: frozenset[str]) -> str:
    """Accept a path with names in braces, one of which must be there."""
    names = set(_PLACEHOLDER.findall(value))
    if required not in names:
        raise ValueError(f"has no {{{required}}}; put it where that belongs")
    for name in sorted(names - known):
        choice = " or ".join(f"{{{each}}}" for each in sorted(known))
        raise ValueError(f"has {{{name}}}, which stands for nothing; write {choice}")
    return value
