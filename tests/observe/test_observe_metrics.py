# SPDX-License-Identifier: EUPL-1.2

from prometheus_client.parser import text_string_to_metric_families

from adapter.observe import METRICS_CONTENT_TYPE, Metrics


def test_every_metric_of_ours_has_help_text_and_the_prefix() -> None:
    families = list(text_string_to_metric_families(Metrics("1.2").render().decode()))
    ours = [family for family in families if not family.name.startswith("process_")]
    assert all(family.name.startswith("stam_adapter_") for family in ours)
    assert all(family.documentation.endswith(".") for family in ours)
    assert len(ours) > 10


def test_the_version_is_shown() -> None:
    assert 'version="1.2"} 1.0' in Metrics("1.2").render().decode()


def test_two_adapters_in_one_process_count_apart() -> None:
    one, other = Metrics("1"), Metrics("1")
    one.received_total.labels(authority="stad", outcome="accepted").inc()
    line = 'stam_adapter_received_total{authority="stad",outcome="accepted"} 1.0'
    assert line in one.render().decode()
    assert line not in other.render().decode()


def test_the_content_type_is_that_of_the_text_format() -> None:
    assert METRICS_CONTENT_TYPE.startswith("text/plain")
