# SPDX-License-Identifier: EUPL-1.2

"""The example files are what they say: complete, with the real defaults, and accepted as they are."""

import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import BaseModel

from adapter.config import ChannelConfig, Config, load_config
from adapter.delivery import CommonOptions, make_sink
from adapter.sinks import SINK_TYPES, route_problems
from tests.sinks.handovers import make_context

EXAMPLES = Path(__file__).parents[2] / "config"
REFERENCE = EXAMPLES / "stam-adapter.toml"
MAIN_FILES = (REFERENCE, EXAMPLES / "municipality.toml", EXAMPLES / "digikoppelaar" / "digikoppelaar.toml")

# What stands in the reference as an example because it has no default, or none that would say anything.
WITHOUT_DEFAULT = {
    "cpas",
    "spare_keys",
    "certificate",
    "certificates",
    "key_password_file",
    "key",
    "max_message",
    "service",
    "action",
    "users",
    "tls",
    "proxy",
    "spool",
    "spool_per_authority",
    "sink",
    "s3",
    "copies",
    "intermediates",
    "mode",
    "volgnummer",
    "doel",
    "type",
    "sinks",  # raw tables, see below
    "parameters",
    "rate",
    "api_key_file",
    "oauth",
    "direct",
    "theme",
    "tracing",
    "notifications",
}
# Of the listener for partners, which else has real defaults only.
BEHIND_A_PROXY = {"ebms.trusted_proxies", "ebms.proxy"}
OF_ONE_AGREEMENT = {
    f"authorities.voorbeeldstad.agreements.CPA-1.ping_{what}" for what in ("every", "failures")
}
SHOWN_BY_PATH = BEHIND_A_PROXY | OF_ONE_AGREEMENT | {"admin.url"}


def uncommented(text: str) -> str:
    return re.sub(r"(?m)^#(?=[^ #\n])", "", text)


def models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from models_in(inner)


def as_one(value: Any) -> Mapping[str, Any]:
    """A table itself, or every key that any table of an array of tables has."""
    if isinstance(value, Mapping):
        return value
    return {key: item for table in value for key, item in table.items()}


@pytest.fixture
def whole(tmp_path: Path) -> Path:
    path = tmp_path / "stam-adapter.toml"
    # Two options exclude each other when they are true; as defaults they do not.
    path.write_text(uncommented(REFERENCE.read_text()))
    return path


@pytest.mark.parametrize("path", MAIN_FILES, ids=lambda path: path.stem)
def test_an_example_is_a_good_configuration(path: Path) -> None:
    config = load_config(path, {})
    for authority in config.authorities.values():
        assert authority.routes
        for name, table in authority.sinks.items():
            make_sink(SINK_TYPES, name, table, make_context(Path("/")))
    assert route_problems(config, SINK_TYPES) == ()


def test_what_the_reference_says_of_every_sink_is_the_default(whole: Path) -> None:
    (authority,) = load_config(whole, {}).authorities.values()
    first = next(iter(authority.sinks.values()))
    said = {key: value for key, value in first.items() if key in CommonOptions.model_fields}
    assert said.pop("timeout") == "1h"  # that of [limits] delivery_time
    assert CommonOptions.model_validate(said) == CommonOptions()


def test_what_the_reference_says_of_every_channel_is_the_default(whole: Path) -> None:
    channels = load_config(whole, {}).notifications.values()
    defaults = {
        name: field.default
        for name, field in ChannelConfig.model_fields.items()
        if not field.is_required() and field.default not in (None, ())
    }
    assert len(defaults) > 5
    assert [{name: getattr(one, name) for name in defaults} for one in channels] == [defaults] * len(channels)


def test_the_reference_has_every_type_of_sink(whole: Path) -> None:
    (authority,) = load_config(whole, {}).authorities.values()
    assert {table["type"] for table in authority.sinks.values()} == {kind.name for kind in SINK_TYPES}


def test_the_reference_is_a_good_configuration_with_every_option_set(whole: Path) -> None:
    load_config(whole, {})


def test_the_digikoppelaar_has_a_file_per_authority() -> None:
    config = load_config(MAIN_FILES[2], {})
    assert set(config.authorities) == {"voorbeeldstad", "omgevingsdienst"}


def missing(model: type[BaseModel], table: Mapping[str, Any], where: str = "") -> Iterator[str]:
    for attribute, field in model.model_fields.items():
        key = field.alias or attribute
        path = f"{where}.{key}" if where else key
        if key not in table:
            yield path
            continue
        for inner in models_in(field.annotation):
            by_name = key in {"authorities", "agreements"} and inner.__name__ != "AdminUser"
            # a channel has the options of its type, so two of them have all
            shown = list(table[key].values()) if key == "notifications" else table[key]
            found = table[key].values() if by_name else [as_one(shown)]
            for one in found:
                yield from missing(inner, one, path)


def test_the_reference_has_every_option() -> None:
    assert list(missing(Config, tomllib.loads(uncommented(REFERENCE.read_text())))) == []


def test_what_the_reference_calls_a_default_is_the_default(whole: Path, tmp_path: Path) -> None:
    short = tmp_path / "short.toml"
    short.write_text(REFERENCE.read_text())
    assert list(differences(load_config(whole, {}), load_config(short, {}))) == []


def differences(one: Any, other: Any, where: str = "") -> Iterator[str]:
    if isinstance(one, BaseModel) and isinstance(other, BaseModel):
        for key in type(one).model_fields:
            path = f"{where}.{key}".strip(".")
            if path not in SHOWN_BY_PATH and (key not in WITHOUT_DEFAULT or path == "ebms.tls"):
                yield from differences(getattr(one, key), getattr(other, key), path)
    elif isinstance(one, Mapping) and isinstance(other, Mapping):
        for key in one:
            yield from differences(one[key], other[key], f"{where}.{key}")
    elif isinstance(one, tuple) and one and isinstance(one[0], BaseModel):
        for index, pair in enumerate(zip(one, other, strict=True)):
            yield from differences(*pair, f"{where}[{index}]")
    elif one != other:
        yield where
