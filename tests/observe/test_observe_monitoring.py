# SPDX-License-Identifier: EUPL-1.2

"""The dashboard, the alerts and the metrics fit each other, and what Prometheus and its tools ask for."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.docs.metrics_table import DOCUMENTED
from tests.docs.tables import ROOT
from tests.observe.conftest import NONSENSE, Busy
from tests.observe.expressions import (
    ALERTS,
    ALERTS_TEST,
    OF_SCRAPE,
    Expression,
    alerts,
    dashboard,
    expressions,
    panels,
)
from tests.servers import do_without

ROWS = [
    *("Overview", "Receiving", "Fetching", "Delivering", "Partners"),
    *("Certificates and configuration", "Resources"),
]


def promtool(*arguments: str, cwd: Path, text: str = "") -> None:
    """Run promtool, which must have nothing to say."""
    program = shutil.which("promtool")
    if program is None:
        do_without("promtool", "promtool", "promtool is not installed")
    result = subprocess.run(
        [program, *arguments], cwd=cwd, input=text, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert not result.stderr, result.stderr


def test_promtool_finds_nothing_in_what_a_busy_daemon_shows(busy: Busy, tmp_path: Path) -> None:
    promtool("check", "metrics", cwd=tmp_path, text=busy.after)


def test_a_busy_daemon_shows_nothing_that_is_not_documented(busy: Busy) -> None:
    for family in text_string_to_metric_families(busy.after):
        name = f"{family.name}_total" if family.type == "counter" else family.name
        for sample in family.samples:
            row = DOCUMENTED[name]
            for label, value in sample.labels.items():
                if label == "le":
                    continue
                known = row.labels[label]
                assert known is None or value in known, f'{name}{{{label}="{value}"}}'


def test_nonsense_makes_no_new_time_series(busy: Busy) -> None:
    def series(text: str) -> set[tuple[str, tuple[tuple[str, str], ...]]]:
        """What is counted; gauges come with what the daemon looks at now and then."""
        return {
            (sample.name, tuple(sorted(sample.labels.items())))
            for family in text_string_to_metric_families(text)
            if family.type in {"counter", "histogram"}
            for sample in family.samples
        }

    # what the daemon does by itself meanwhile may be done for the first time
    mine = {one for one in series(busy.after) - series(busy.before) if "job" not in one[0]}
    assert mine == set()
    assert "nonsense" not in busy.after


def test_what_is_refused_is_counted_by_reason(busy: Busy) -> None:
    def refused(text: str) -> float:
        return sum(map(float, re.findall(r"^stam_adapter_refused_total\{.*\} (\S+)", text, re.MULTILINE)))

    assert refused(busy.after) == (NONSENSE + 1) * refused(busy.before)


@pytest.mark.parametrize(
    "name",
    [
        *("receive_seconds_count", "received_bytes_total", "last_accepted_timestamp_seconds"),
        *("collect_seconds_count", "dso_requests_total", "dso_request_seconds_count", "job_seconds_count"),
        *("delivery_seconds_count", "handling_seconds_count", "agreements", "configuration_loaded"),
        *("store_transaction_seconds_count", "store_wait_seconds_count", "event_loop_lag_seconds_count"),
        *("disk_free_bytes", "acknowledgments_sent_total", "sent_total"),
    ],
)
def test_a_busy_daemon_measures(busy: Busy, name: str) -> None:
    found = re.findall(rf"^stam_adapter_{name}(?:\{{.*\}})? (\S+)$", busy.after, re.MULTILINE)
    assert sum(map(float, found)) > 0


def test_no_metric_is_registered_that_nothing_sets() -> None:
    source = "\n".join(
        path.read_text("utf-8")
        for path in (ROOT / "adapter").rglob("*.py")
        if path.name != "metrics.py" or path.parent.name != "observe"
    )
    own = (name.removeprefix("stam_adapter_") for name in DOCUMENTED if name.startswith("stam_adapter_"))
    assert [name for name in own if f".{name}" not in source and name != "build_info"] == []


# --- the alerts


def test_promtool_finds_nothing_in_the_alerts() -> None:
    promtool("check", "rules", ALERTS.name, cwd=ALERTS.parent)


def test_every_alert_fires_when_it_should_and_not_when_it_should_not() -> None:
    promtool("test", "rules", ALERTS_TEST.name, cwd=ALERTS.parent)


@pytest.mark.parametrize("rule", alerts(), ids=lambda rule: rule["alert"])
def test_an_alert_is_tested_both_ways_and_says_what_to_do(rule: dict) -> None:
    tests = ALERTS_TEST.read_text("utf-8")
    name = rule["alert"]
    assert f"- name: {name} fires\n" in tests
    assert f"- name: {name} does not fire\n" in tests
    assert rule["labels"]["severity"] in {"critical", "warning", "info"}
    assert set(rule["annotations"]) == {"summary", "description", "runbook_url"}
    assert rule["annotations"]["runbook_url"] == f"docs/alerts.md#{name.lower()}"


def test_every_alert_has_a_section_in_the_documentation_and_none_that_is_gone() -> None:
    text = (ROOT / "docs" / "alerts.md").read_text("utf-8")
    assert re.findall(r"^### (StamAdapter\w+)$", text, re.MULTILINE) == [rule["alert"] for rule in alerts()]


# --- the dashboard


def test_the_dashboard_can_be_imported_anywhere() -> None:
    board = dashboard()
    assert board["id"] is None
    assert [one["name"] for one in board["templating"]["list"]] == ["datasource", "authority"]
    assert [panel["title"] for panel in board["panels"] if panel["type"] == "row"] == ROWS
    ids = [panel["id"] for panel in board["panels"]]
    assert len(set(ids)) == len(ids)


@pytest.mark.parametrize("panel", panels(), ids=lambda panel: panel["title"])
def test_a_panel_is_described_and_uses_the_chosen_data_source(panel: dict) -> None:
    assert panel["description"].endswith((".", "parked"))
    assert {target["datasource"]["uid"] for target in panel["targets"]} == {"${datasource}"}


def test_the_dashboard_shows_every_metric() -> None:
    shown = {name for one in expressions() for name, _ in one.selectors()}
    assert set(DOCUMENTED) - shown <= {"process_virtual_memory_bytes"}


# --- both


@pytest.mark.parametrize("expression", expressions(), ids=lambda one: one.where)
def test_an_expression_names_metrics_labels_and_values_that_exist(expression: Expression) -> None:
    selectors = list(expression.selectors())
    assert selectors
    labels = set(OF_SCRAPE) | {"le"}
    for name, matchers in selectors:
        known = {} if name == "up" else DOCUMENTED[name].labels
        labels |= set(known)
        for label, operator, value in matchers:
            if label in OF_SCRAPE:
                continue
            values = known[label]
            if operator in {"=", "!="} and values is not None:
                assert value in values, f'{label}="{value}"'
            elif values is not None:
                assert all(any(re.fullmatch(one, v) for v in values) for one in value.split("|")), value
    assert expression.groupings() <= labels


def test_prometheus_answers_every_expression(busy: Busy) -> None:
    if shutil.which("prometheus") is None:
        do_without("promtool", "Prometheus", "prometheus is not installed")
    answers = {one.where: busy.asked[one.text] for one in expressions()}
    assert {where: a for where, a in answers.items() if a["status"] != "success" or a.get("warnings")} == {}


def test_prometheus_evaluates_every_alert(busy: Busy) -> None:
    if shutil.which("prometheus") is None:
        do_without("promtool", "Prometheus", "prometheus is not installed")
    assert {rule["name"]: rule.get("lastError", "") for rule in busy.rules} == {
        rule["alert"]: "" for rule in alerts()
    }
    assert {rule["health"] for rule in busy.rules} == {"ok"}
