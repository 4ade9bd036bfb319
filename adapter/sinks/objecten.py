# SPDX-License-Identifier: EUPL-1.2

"""The objecten sink: each delivery is one object in an Objecten API 2, under a UUID that we choose.

The UUID follows from what is delivered, and the API takes each UUID once. So after any outcome that is not known the
POST is made again: where it is refused, the object that has the UUID is looked at, and when it is ours it was
delivered. With `update` there is one object per verzoek, whose record a later delivery changes.

The API takes JSON only: the data says which files there are, with their digests, and the files themselves stay behind.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final, Self
from urllib.parse import quote

from pydantic import AfterValidator, Field, model_validator

from adapter.delivery import (
    Checkpoint,
    Delivered,
    Handover,
    OptionPath,
    Outcome,
    Permanent,
    SinkContext,
    SinkProblem,
    SinkType,
    StepFailed,
)
from adapter.sinks.access import AUTHORIZATION, SecretFile, probe_url
from adapter.sinks.bodies import JSON
from adapter.sinks.connection import Answer, ConnectionOptions, ask, open_client, refusal
from adapter.sinks.identity import qualified_key, stable_uuid
from adapter.sinks.summary import SUMMARY_FIELDS, summary_of
from adapter.sinks.templates import filled, unknown_placeholders
from adapter.sinks.verzoek import geometry_of, verzoek_of
from adapter.store import Flow

_KEY: Final = "key"
_MANIFEST: Final = "manifest"
_VOLGNUMMER: Final = "volgnummer"
_VERZOEK: Final = "verzoek"
_PLACEHOLDERS: Final = frozenset(
    {_KEY, _MANIFEST, _VERZOEK, _VOLGNUMMER, *SUMMARY_FIELDS}
    | {"flow", "authority", "cpaId", "messageId", "conversationId", "receivedAt", "files"}
    | {
        "verzoeknummer",
        "doel",
        "type",
        "bevoegdGezag",
        "uitvoerendeInstantie",
        "projectId",
        "kopie",
        "vervallen",
    }
    | {"origin", "from", "to", "service", "action", "refToMessageId", "timestamp"}
)
_CRS: Final = "EPSG:4326"
_MOST_FIELDS: Final = 10


def _usable(data: Mapping[str, Any]) -> Mapping[str, Any]:
    try:
        json.dumps(data)
    except TypeError as error:
        raise ValueError("has a value that JSON does not know, as a date; write it as text") from error
    unknown = unknown_placeholders(data, _PLACEHOLDERS)
    if unknown:
        raise ValueError(
            f"there is no {{{unknown[0]}}}; there are {', '.join(f'{{{name}}}' for name in sorted(_PLACEHOLDERS))}"
        )
    return data


class ObjectenOptions(ConnectionOptions):
    """The options of an objecten sink.

    `url` is the address of the API up to and with its version; `objecttype` the URL of the objecttype, and `version`
    that of its schema. `data` is what the object says, with placeholders; without it, the key, the manifest and a
    summary. `geometry`: whether it has the location of the verzoek. `update`: one object for all deliveries of a
    verzoek.
    """

    url: str
    token_file: OptionPath
    objecttype: Annotated[str, Field(min_length=1, max_length=1000, pattern=r"^https?://\S+$")]
    version: Annotated[int, Field(ge=1, le=32767)]
    data: Annotated[Mapping[str, Any], AfterValidator(_usable)] | None = None
    geometry: bool = False
    update: bool = False

    @model_validator(mode="after")
    def _without_parameters(self) -> Self:
        if "?" in self.url:
            raise ValueError("url has a query; write the address of the API, as https://host/api/v2")
        return self

    @model_validator(mode="after")
    def _tells_what_is_later(self) -> Self:
        if self.update and not self.fields_with(_VOLGNUMMER):
            raise ValueError('update needs the volgnummer in data; add volgnummer = "{volgnummer}" to it')
        return self

    def fields_with(self, name: str) -> list[str]:
        """The fields of the data that are this placeholder and nothing else."""
        if self.data is None:
            return [name]
        return [field for field, value in self.data.items() if value == f"{{{name}}}"]


@dataclass(frozen=True, slots=True)
class _Object:
    """The object of a delivery."""

    uuid: str
    type: str
    record: Mapping[str, Any]

    @property
    def data(self) -> Mapping[str, Any]:
        """What it says."""
        data: Mapping[str, Any] = self.record["data"]
        return data

    def whole(self) -> bytes:
        """The body of the POST."""
        return _encoded({"uuid": self.uuid, "type": self.type, "record": self.record})

    def change(self) -> bytes:
        """The body of the PATCH: a merge patch (RFC 7396) of the data, in a new record."""
        return _encoded({"record": self.record})


class ObjectenSink:
    """Delivers to one objecttype of one API."""

    def __init__(self, options: ObjectenOptions, context: SinkContext) -> None:
        self._options = options
        self._clock = context.clock
        self._objects = f"{options.url.rstrip('/')}/objects"
        self._http = open_client(options, {"url": options.url}, context)
        self._token = SecretFile("token_file", options.token_file)
        SecretFile.check(self._token)

    async def deliver(self, handover: Handover, checkpoint: Checkpoint) -> Outcome:  # noqa: ARG002
        """Make the object, or find that it is there already."""
        if self._options.update and handover.verzoeknummer is None:
            return Permanent("a message has no verzoeknummer: deliver it to a sink without update = true")
        wanted = await self._object(handover)
        answer = await self._ask("POST", self._objects, wanted.whole())
        if not answer.is_success:
            await self._settle(wanted, answer)
        return Delivered(self._address(wanted))

    async def probe(self) -> None:
        """Ask for the objects of the type, one at most."""
        try:
            headers = await self._headers()
        except StepFailed as failure:
            raise SinkProblem(str(failure)) from failure
        url = f"{self._objects}?type={quote(self._options.objecttype, safe='')}&pageSize=1"
        await probe_url(self._http, "GET", "url", url, headers)

    async def close(self) -> None:
        """Close the connections."""
        await self._http.close()

    async def _settle(self, wanted: _Object, answer: Answer) -> None:
        """Whether the object that was not made is there; StepFailed where it is not as it should be."""
        if answer.status < 500 and answer.status not in {400, 409}:
            raise self._refusal(answer, "POST")
        found = await self._ask("GET", self._address(wanted))
        if found.status == 404:
            raise self._refusal(answer, "POST")
        if not found.is_success:
            raise self._refusal(found, f"GET of {wanted.uuid}")
        kind, data = _read(found)
        if kind != self._options.objecttype or not isinstance(data, Mapping):
            raise StepFailed(
                Permanent(
                    f"{self._objects}: {wanted.uuid} is not an object of ours; remove it there, then retry"
                ),
                undone=True,
            )
        if self._options.update:
            await self._update(wanted, data)
        elif any(data.get(field) != wanted.data.get(field) for field in self._options.fields_with(_KEY)):
            raise StepFailed(
                Permanent(
                    f"{self._objects}: {wanted.uuid} is of another delivery; remove it there, then retry"
                ),
                undone=True,
            )

    async def _update(self, wanted: _Object, data: Mapping[str, Any]) -> None:
        fields = self._options.fields_with(_VOLGNUMMER)
        if any(_is_later(data.get(field), wanted.data.get(field)) for field in fields):
            return  # this message came after a later one, which is what counts
        if _merged(data, wanted.data) == data:
            return  # it is there already, and another record would say nothing
        answer = await self._ask("PATCH", self._address(wanted), wanted.change())
        if not answer.is_success:
            raise self._refusal(answer, f"PATCH of {wanted.uuid}")

    async def _ask(self, method: str, url: str, data: bytes | None = None) -> Answer:
        return await ask(self._http, method, url, headers=await self._headers(data), data=data)

    async def _headers(self, data: bytes | None = None) -> dict[str, str]:
        token = await self._token.read()
        crs = {"Accept-Crs": _CRS} if data is None else {"Content-Crs": _CRS, "Content-Type": JSON}
        return {AUTHORIZATION: f"Token {token}", **crs}

    def _refusal(self, answer: Answer, what: str) -> StepFailed:
        return refusal(answer, f"{self._objects}: {what}{_wrong_fields(answer.body)}", self._clock())

    async def _object(self, handover: Handover) -> _Object:
        name = handover.verzoeknummer if self._options.update else handover.key
        uuid = stable_uuid(handover.authority, handover.sink, name or handover.key)
        verzoek = await verzoek_of(handover) if handover.flow == Flow.STAM else None
        record = {
            "typeVersion": self._options.version,
            # the day in UTC is never after that of the server, where it could not be seen until tomorrow
            "startAt": self._clock().date().isoformat(),
            "data": self._data(handover, {} if verzoek is None else summary_of(verzoek)),
        }
        if self._options.geometry and verzoek is not None and (geometry := geometry_of(verzoek)) is not None:
            record["geometry"] = geometry
        return _Object(str(uuid), self._options.objecttype, record)

    def _data(self, handover: Handover, summary: Mapping[str, Any]) -> Any:
        key = qualified_key(handover)
        if self._options.data is None:
            about = {_VERZOEK: summary} if summary else {}
            return {_KEY: key, **handover.manifest, **about}
        facts = {
            _KEY: key,
            _MANIFEST: handover.manifest,
            _VERZOEK: summary or None,
            "flow": handover.flow,
            "authority": handover.authority,
        }
        known = {**dict.fromkeys(_PLACEHOLDERS), **summary, **handover.manifest, **facts}
        return filled(self._options.data, known)

    def _address(self, wanted: _Object) -> str:
        return f"{self._objects}/{wanted.uuid}"


OBJECTEN: SinkType[ObjectenOptions] = SinkType("objecten", ObjectenOptions, ObjectenSink)


def _is_later(one: object, other: object) -> bool:
    """Whether a volgnummer comes after another; one that is no number comes after none."""
    texts = (str(one), str(other))
    return all(text.isascii() and text.isdigit() for text in texts) and int(texts[0]) > int(texts[1])


def _merged(value: Any, patch: Any) -> Any:
    """What a merge patch makes of a value (RFC 7396)."""
    if not isinstance(patch, Mapping):
        return patch
    result = dict(value) if isinstance(value, Mapping) else {}
    for key, change in patch.items():
        if change is None:
            result.pop(key, None)
        else:
            result[key] = _merged(result.get(key), change)
    return result


def _read(answer: Answer) -> tuple[Any, Any]:
    """The type and the data of an object; None for what is not there."""
    try:
        found = json.loads(answer.body)
    except (ValueError, RecursionError):
        return None, None
    record = found.get("record") if isinstance(found, dict) else None
    return (found.get("type"), record.get("data")) if isinstance(record, dict) else (None, None)


def _wrong_fields(body: bytes) -> str:
    """Which fields were refused: their names only, as the texts beside these repeat what is in the fields."""
    try:
        errors = json.loads(body)
    except (ValueError, RecursionError):
        return ""
    if not isinstance(errors, dict) or "title" in errors or "detail" in errors:
        return ""
    names = [name for name in errors if name.isprintable()][:_MOST_FIELDS]
    return f" ({', '.join(names)})" if names else ""


def _encoded(body: Mapping[str, Any]) -> bytes:
    return json.dumps(body).encode()
