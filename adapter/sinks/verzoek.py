# SPDX-License-Identifier: EUPL-1.2

"""Reading the verzoekbericht of a handover: what a sink needs that understands what it delivers."""

import asyncio
from contextlib import aclosing
from typing import Any, Final

from adapter.delivery import Handover, HandoverFile, Permanent, StepFailed
from adapter.store import FileKind
from adapter.verzoek import Verzoekbericht, VerzoekberichtProblem, read_verzoekbericht

MAX_VERZOEK: Final = 32 * 1024 * 1024
"""Largest verzoekbericht that is read, in octets."""


async def verzoek_of(handover: Handover) -> Verzoekbericht:
    """The verzoekbericht among the files of a handover.

    Raises StepFailed where there is none that can be read; ContentDamaged and ContentUnavailable pass.
    """
    file = next((one for one in handover.files if one.kind is FileKind.VERZOEK), None)
    if file is None:
        raise _unreadable("the delivery has no verzoekbericht: this sink takes verzoeken only (flow stam)")
    data = await content_of(file, MAX_VERZOEK)
    try:
        return await asyncio.to_thread(read_verzoekbericht, data)
    except VerzoekberichtProblem as problem:
        raise _unreadable(f"{file.path}: {problem}") from problem


async def content_of(file: HandoverFile, limit: int) -> bytes:
    """The whole content of a file of at most `limit` octets; StepFailed where it is larger."""
    if file.size > limit:
        raise _unreadable(f"{file.path} has {file.size} bytes, more than the {limit} that are read at once")
    content = bytearray()
    async with aclosing(file.open()) as chunks:
        async for chunk in chunks:
            content += chunk
    return bytes(content)


def geometry_of(verzoek: Verzoekbericht) -> dict[str, Any] | None:
    """Where a verzoek is about as GeoJSON: one geometry, or several together; None where that is not known.

    Positions in ETRS89 are given as they are: it differs from EPSG:4326 by less than a metre.
    """
    geometries = [found for one in verzoek.projectlocaties if (found := one.geojson) is not None]
    if len(geometries) <= 1:
        return geometries[0] if geometries else None
    return {"type": "GeometryCollection", "geometries": geometries}


def explanation_of(verzoek: Verzoekbericht, name: str, shown: int) -> str:
    """The name in full where only so many characters of it are shown, and what the applicant explains."""
    said = verzoek.toelichting_verzoek.text if verzoek.toelichting_verzoek is not None else ""
    return " — ".join(part for part in (name if len(name) > shown else "", said) if part)


def _unreadable(reason: str) -> StepFailed:
    return StepFailed(Permanent(reason), undone=True)
