# SPDX-License-Identifier: EUPL-1.2

"""docs/metrics.md says what there is to measure, no more and no less."""

import ast
import re
from collections.abc import Iterator

import pytest
from prometheus_client.metrics_core import Metric

from adapter.ebms import ErrorCode
from adapter.observe import Metrics
from adapter.pki import Flaw
from tests.docs.metrics_table import DOCUMENTED, REASONS, TYPES
from tests.docs.tables import ROOT


def families() -> Iterator[Metric]:
    yield from Metrics("1").registry.collect()


def full_name(family: Metric) -> str:
    suffix = {"counter": "_total", "info": "_info"}.get(family.type, "")
    return f"{family.name}{suffix}"


def labels_of(name: str) -> set[str]:
    """The labels that a metric is registered with."""
    if name.startswith("process_"):
        return set()
    metrics = Metrics("1")
    if name == "stam_adapter_build_info":
        return set(next(iter(metrics.build.collect())).samples[0].labels)
    metric = getattr(metrics, name.removeprefix("stam_adapter_"))
    return set(metric._labelnames)


def test_every_metric_is_documented_and_none_that_is_gone() -> None:
    assert {full_name(family) for family in families()} == set(DOCUMENTED)


@pytest.mark.parametrize("name", sorted(DOCUMENTED))
def test_a_metric_has_the_documented_labels(name: str) -> None:
    assert labels_of(name) == set(DOCUMENTED[name].labels)


def test_a_metric_has_the_documented_type() -> None:
    types = {full_name(family): TYPES.get(family.type, family.type) for family in families()}
    assert types == {name: row.type for name, row in DOCUMENTED.items()}


def test_every_metric_is_named_in_its_base_unit() -> None:
    for name, row in DOCUMENTED.items():
        assert not re.search(r"_(ms|milliseconds|minutes|hours|kb|mb|octets|percent)(_|$)", name)
        assert (row.type == "counter") == name.endswith("_total")
        assert row.type != "histogram" or name.endswith(("_seconds", "_bytes"))


def refusals() -> set[str]:
    """The reasons that the source gives where it refuses something."""
    found = set()
    for path in [*(ROOT / "adapter/msh").glob("*.py"), *(ROOT / "adapter/ebms").glob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            called = ast.unparse(node.func)
            if called in {"Forbidden", "SoapFault"}:
                which = node.args[0 if called == "Forbidden" else 1]
                assert isinstance(which, ast.Constant), ast.unparse(node)
                found.add(which.value)
            elif called == "Overloaded":
                assert isinstance(node.args[0], ast.Constant)
                found.add(f"overload_{node.args[0].value}")
    return found


def test_every_reason_to_refuse_is_documented() -> None:
    known = refusals() | {str(code) for code in ErrorCode} | {str(flaw) for flaw in Flaw}
    assert known <= REASONS, known - REASONS


def test_every_documented_reason_is_in_the_source() -> None:
    source = "\n".join(path.read_text("utf-8") for path in (ROOT / "adapter").rglob("*.py"))
    made = {"signer_": {str(flaw) for flaw in Flaw}, "overload_": {"requests", "backlog", "spool", "disk"}}
    for reason in REASONS:
        prefix = next((one for one in made if reason.startswith(one)), None)
        if prefix is not None:
            assert reason.removeprefix(prefix) in made[prefix]
        else:
            assert f'"{reason}"' in source, reason
