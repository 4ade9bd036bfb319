# SPDX-License-Identifier: EUPL-1.2

"""The Catalogi API of the fake: catalogus, zaaktypen and what belongs to them."""

import uuid
from collections.abc import Callable
from typing import Any

from tests.sinks.zgw.rules import invalid

Url = Callable[..., str]


class Types:
    """The types, by resource and uuid."""

    def __init__(self, url: Url) -> None:
        self._url = url
        self.objects: dict[str, dict[str, dict[str, Any]]] = {
            name: {}
            for name in ("catalogussen", "zaaktypen", "informatieobjecttypen", "statustypen", "roltypen")
        }

    def add(self, resource: str, identity: str | None = None, **fields: Any) -> dict[str, Any]:
        """A type as it is; `identity` is its uuid."""
        identity = identity or str(uuid.uuid4())
        found = {"uuid": identity, **fields}
        self.objects[resource][identity] = found
        return found

    def url_of(self, resource: str, one: dict[str, Any]) -> str:
        """Where a type is."""
        return self._url("catalogi", resource, one["uuid"])

    def shown(self, resource: str, one: dict[str, Any]) -> dict[str, Any]:
        """A type as GET shows it: references as URLs."""
        shown = {key: value for key, value in one.items() if key != "uuid"}
        for key, kind in (("catalogus", "catalogussen"), ("zaaktype", "zaaktypen")):
            if key in shown:
                shown[key] = self.url_of(kind, one[key])
        if "informatieobjecttypen" in shown:
            listed = one["informatieobjecttypen"]
            shown["informatieobjecttypen"] = [self.url_of("informatieobjecttypen", each) for each in listed]
        return {"url": self.url_of(resource, one), **shown}

    def find(self, resource: str, query: dict[str, str]) -> list[dict[str, Any]]:
        """What matches; without `status` no concept, as servers have it."""
        exact = {
            key: value for key, value in query.items() if key not in {"page", "status", "datumGeldigheid"}
        }
        day = query.get("datumGeldigheid", "")
        return [
            shown
            for one in self.objects[resource].values()
            if not (one.get("concept") and query.get("status", "definitief") == "definitief")
            and (not day or (one["beginGeldigheid"] <= day < (one["eindeGeldigheid"] or "9999")))
            for shown in (self.shown(resource, one),)
            if all(shown.get(key) == value for key, value in exact.items())
        ]

    def make(self, resource: str, body: Any) -> dict[str, Any]:
        """Types are made by people."""
        raise AssertionError("a sink makes no types")

    def at(self, resource: str, url: str, name: str) -> dict[str, Any]:
        """The published type at a URL that a body gives under `name`."""
        for one in self.objects[resource].values():
            if self.url_of(resource, one) == url:
                if one.get("concept"):
                    raise invalid((name, "not-published", "De resource is niet gepubliceerd."))
                return one
        raise invalid((name, "bad-url", f"De URL {url} is geen {resource}."))
