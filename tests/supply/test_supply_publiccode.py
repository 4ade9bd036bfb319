# SPDX-License-Identifier: EUPL-1.2

"""publiccode.yml holds what version 0.4 of the standard asks for, and agrees with the rest of the project."""

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jsonschema
import yaml

ROOT = Path(__file__).parents[2]
CODE: Mapping[str, Any] = yaml.safe_load((ROOT / "publiccode.yml").read_text("utf-8"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]


def some(kind: Mapping[str, Any]) -> Mapping[str, Any]:
    return {"type": "array", "minItems": 1, "uniqueItems": True, "items": kind}


def table(properties: Mapping[str, Any], required: str = "") -> Mapping[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": required.split(),
        "additionalProperties": False,
    }


def one_of(words: str) -> Mapping[str, Any]:
    return {"enum": words.split()}


TEXT = {"type": "string", "minLength": 1}
MEDIA_TYPE = {"type": "string", "pattern": r"^[a-z]+/[a-z0-9.+-]+$"}
DATE = {"type": "string", "pattern": r"^\d{4}-\d\d-\d\d$"}
DEPENDENCY = table(
    {"name": TEXT, "versionMin": TEXT, "versionMax": TEXT, "version": TEXT, "optional": {}}, "name"
)
SCHEMA = table(
    {
        "publiccodeYmlVersion": {"const": "0.4"},
        "name": TEXT,
        "url": {"type": "string", "pattern": "^https://"},
        "softwareVersion": TEXT,
        "releaseDate": DATE,
        "platforms": some(one_of("web windows mac linux ios android")),
        "categories": some(one_of("communications document-management workflow-management it-management")),
        "developmentStatus": one_of("concept development beta stable obsolete"),
        "softwareType": one_of(
            "standalone/mobile standalone/iot standalone/desktop standalone/web standalone/backend "
            "standalone/other addon library configurationFiles"
        ),
        "inputTypes": some(MEDIA_TYPE),
        "outputTypes": some(MEDIA_TYPE),
        "intendedAudience": table(
            {
                "countries": some({"type": "string", "pattern": "^[a-z]{2}$"}),
                "scope": some(one_of("environment government local-authorities infrastructures society")),
            }
        ),
        "description": {
            "type": "object",
            "propertyNames": {"pattern": "^[a-z]{2}$"},
            "additionalProperties": table(
                {
                    "shortDescription": {"type": "string", "minLength": 1, "maxLength": 150},
                    "longDescription": {"type": "string", "minLength": 500, "maxLength": 10_000},
                    "features": some(TEXT),
                },
                "shortDescription longDescription features",
            ),
        },
        "legal": table({"license": TEXT}, "license"),
        "maintenance": table(
            {
                "type": one_of("internal contract community none"),
                "contacts": some(table({"name": TEXT, "email": TEXT, "affiliation": TEXT}, "name")),
            },
            "type contacts",
        ),
        "localisation": table(
            {"localisationReady": {"type": "boolean"}, "availableLanguages": some(TEXT)},
            "localisationReady availableLanguages",
        ),
        "dependsOn": table({"open": some(DEPENDENCY)}),
    },
    "publiccodeYmlVersion name url releaseDate platforms categories developmentStatus softwareType description legal "
    "maintenance localisation",
)
"""What the standard asks for, of the keys that are used here; of long lists of words those that could fit."""


def test_it_is_what_the_standard_asks_for() -> None:
    jsonschema.validate(CODE, SCHEMA)


def test_it_is_in_dutch_and_english_for_the_netherlands() -> None:
    assert set(CODE["description"]) == set(CODE["localisation"]["availableLanguages"]) == {"nl", "en"}
    assert CODE["intendedAudience"]["countries"] == ["nl"]
    features = [len(described["features"]) for described in CODE["description"].values()]
    assert len(set(features)) == 1


def test_it_agrees_with_the_package() -> None:
    assert CODE["legal"]["license"] == PROJECT["license"]
    assert str(CODE["softwareVersion"]) == PROJECT["version"]
    (python,) = (one for one in CODE["dependsOn"]["open"] if one["name"] == "Python")
    assert PROJECT["requires-python"] == f">={python['versionMin']}"


def test_every_dependency_that_runs_is_told_of() -> None:
    told = (ROOT / "CONTRIBUTING.md").read_text("utf-8").partition("## Dependencies")[2].lower()
    names = [re.split(r"[\[><=]", line)[0] for line in PROJECT["dependencies"]]
    assert [name for name in names if name not in told] == []
