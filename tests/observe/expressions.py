# SPDX-License-Identifier: EUPL-1.2

"""The expressions of the dashboard and of the alerts, and which metrics and labels each names."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import yaml

from tests.docs.metrics_table import DOCUMENTED
from tests.docs.tables import ROOT

DASHBOARD: Final = ROOT / "monitoring" / "grafana" / "stam-adapter.json"
ALERTS: Final = ROOT / "monitoring" / "prometheus" / "alerts.yml"
ALERTS_TEST: Final = ALERTS.with_name("alerts_test.yml")

OF_SCRAPE: Final = {"instance", "job"}
"""Labels that Prometheus itself adds."""

_VARIABLES: Final = {"$__rate_interval": "1m", "$authority": ".*"}
_SELECTOR = re.compile(r"\b((?:stam_adapter|process)_\w+|up)\b(?:\{([^}]*)\})?")
_MATCHER = re.compile(r'(\w+)\s*(=~|!~|!=|=)\s*"([^"]*)"')
_GROUPING = re.compile(r"\b(?:by|without|on|ignoring)\s*\(([^)]*)\)")


@dataclass(frozen=True)
class Expression:
    """One expression, and where it stands."""

    where: str
    text: str

    def selectors(self) -> Iterator[tuple[str, list[tuple[str, str, str]]]]:
        """Each metric that it names, as documented, with the matchers of its labels."""
        for name, inside in _SELECTOR.findall(self.text):
            yield _family(name), _MATCHER.findall(inside)

    def groupings(self) -> set[str]:
        """The labels that it groups by."""
        listed = ",".join(_GROUPING.findall(self.text))
        return {label.strip() for label in listed.split(",") if label.strip()}


def _family(name: str) -> str:
    for suffix in ("_bucket", "_sum", "_count"):
        histogram = name.removesuffix(suffix)
        if histogram != name and histogram in DOCUMENTED:
            return histogram
    return name


def dashboard() -> dict[str, Any]:
    return json.loads(DASHBOARD.read_text("utf-8"))  # type: ignore[no-any-return]


def panels() -> list[dict[str, Any]]:
    return [panel for panel in dashboard()["panels"] if panel["type"] != "row"]


def alerts() -> list[dict[str, Any]]:
    groups = yaml.safe_load(ALERTS.read_text("utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"]]


def expressions() -> list[Expression]:
    found = [
        Expression(f"{panel['title']} {target['refId']}", filled(target["expr"]))
        for panel in panels()
        for target in panel["targets"]
    ]
    return found + [Expression(rule["alert"], rule["expr"]) for rule in alerts()]


def filled(expression: str) -> str:
    """An expression as Grafana asks it, with everything chosen."""
    for variable, value in _VARIABLES.items():
        expression = expression.replace(variable, value)
    return expression
