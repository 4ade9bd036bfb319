# SPDX-License-Identifier: EUPL-1.2

"""The configurations that docs/sinks.md shows, with the files that they name put in their places."""

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from adapter.config import Config, load_config
from adapter.delivery import ConfiguredSink, SinkContext, make_sink
from adapter.pki import IssuedCertificate, ThrowawayPki
from adapter.sinks import SINK_TYPES
from tests.sinks.handovers import make_context

DOCUMENT = Path(__file__).parents[2] / "docs" / "sinks.md"

SECRET = "geheim-dat-niemand-mag-zien"

_PLACE = "/etc/stam-adapter/"


def complete_configurations(document: Path = DOCUMENT) -> list[str]:
    """The blocks of TOML that are whole configurations; one that shows a few keys is none."""
    blocks = re.findall(r"```toml\n(.*?)```", document.read_text(), re.DOTALL)
    return [block for block in blocks if "authorities" in tomllib.loads(block)]


def types_in(configuration: str) -> set[str]:
    """The types of the sinks in a configuration."""
    return {
        sink["type"]
        for authority in tomllib.loads(configuration)["authorities"].values()
        for sink in authority["sinks"].values()
    }


@dataclass(frozen=True)
class DocumentedSink:
    """A sink of the document: its table, of which the files are there, and whose it is."""

    name: str
    table: Mapping[str, Any]
    context: SinkContext
    pki: ThrowawayPki

    def make(self, **changes: Any) -> ConfiguredSink:
        return make_sink(SINK_TYPES, self.name, dict(self.table) | changes, self.context)

    def files(self) -> list[Path]:
        """The files that its options name."""
        return [path for path in _paths(self.table) if path.is_relative_to(self.context.base)]

    def restore(self) -> None:
        """Put the files that the table names in their places, each with what belongs in one of its name."""
        certificate = _certificate(self.pki)
        keyed = {path.with_suffix("") for path in self.files() if path.suffix == ".key"}
        for path in self.files():
            if path.with_suffix("") in keyed:
                certificate.write(path.parent, path.stem)
            elif path.suffix == ".pem":
                self.pki.root_pem(path)
            else:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(f"{SECRET}\n")


def load_documented(configuration: str, directory: Path, pki: ThrowawayPki) -> tuple[Config, DocumentedSink]:
    """Read a configuration of the document, and its one sink."""
    path = directory / "stam-adapter.toml"
    path.write_text(configuration.replace(_PLACE, f"{directory}/"))
    config = load_config(path, {})
    ((authority, settings),) = config.authorities.items()
    ((name, table),) = settings.sinks.items()
    keys = _certificate(pki).key_pair(directory / "own", "own")
    context = make_context(
        directory,
        authority=authority,
        sink=name,
        oin=settings.oin,
        environment=config.environment,
        outgoing=config.outgoing,
        keys=keys,
    )
    sink = DocumentedSink(name, table, context, pki)
    sink.restore()
    return config, sink


@cache
def _certificate(pki: ThrowawayPki) -> IssuedCertificate:
    return pki.issue("Voorbeeldstad", "00000001001100415000")


def _paths(value: Any) -> Iterator[Path]:
    if isinstance(value, Mapping):
        for inner in value.values():
            yield from _paths(inner)
    elif isinstance(value, tuple):
        for inner in value:
            yield from _paths(inner)
    elif isinstance(value, str) and value.startswith("/"):
        yield Path(value)
