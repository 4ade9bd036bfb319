# SPDX-License-Identifier: EUPL-1.2

"""The area and the place of reconciliation are checked when the configuration is read."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from adapter.config import Config, ReconcileConfig, SearchRequestConfig, SearchResponseConfig
from adapter.stam import SearchSettings

Load = Callable[..., Config]
Problems = Callable[..., tuple[str, ...]]

TABLE = "\n[authorities.voorbeeldstad.reconcile]\n"
BOX = "area = [150000, 460000, 160000, 468000]\n"


def reconcile(config: Config) -> ReconcileConfig:
    found = config.authorities["voorbeeldstad"].reconcile
    assert found is not None
    return found


def test_without_the_table_there_is_no_reconciliation(load: Load, whole: str) -> None:
    assert load(whole).authorities["voorbeeldstad"].reconcile is None


def test_an_area_is_enough(load: Load, whole: str) -> None:
    config = load(whole + TABLE + BOX)
    found = reconcile(config)
    assert (found.every, found.days_back, found.page_size, found.sink) == (timedelta(hours=6), 7, 50, None)
    assert config.authorities["voorbeeldstad"].stam_sink == "archief"


CORNERS = ((150e3, 460e3), (160e3, 460e3), (160e3, 468e3), (150e3, 468e3), (150e3, 460e3))


@pytest.mark.parametrize(
    ("area", "corners"),
    [
        ("[150000, 460000, 160000, 468000]", CORNERS),
        ("[[150000, 460000], [160000, 460000], [160000, 468000], [150000, 468000]]", CORNERS),
        (
            "[[150000, 460000], [160000, 460000.0], [160000, 468000], [150000, 468000], [150000, 460000]]",
            CORNERS,
        ),
        (
            "[[150000, 460000], [150000, 468000], [160000, 460000]]",
            ((160e3, 460e3), (150e3, 468e3), (150e3, 460e3), (160e3, 460e3)),
        ),
        ("[160000, 460000, 150000, 468000]", CORNERS),
    ],
    ids=["a box", "open", "closed", "clockwise", "a box from right to left"],
)
def test_an_area_becomes_a_closed_polygon_anticlockwise(
    load: Load, whole: str, area: str, corners: tuple[tuple[float, float], ...]
) -> None:
    found = reconcile(load(f"{whole}{TABLE}area = {area}\n")).area
    assert found == corners


@pytest.mark.parametrize(
    ("area", "said"),
    [
        ("[]", "is not an area"),
        ('"Utrecht"', "is not an area"),
        ("[1, 2, 3]", "is not an area"),
        ("[[150000, 460000], [160000]]", "has [160000] for a corner"),
        ("[[150000, 460000], 160000]", "has 160000 for a corner"),
        ("[[150000, 460000], [160000, 460000]]", "encloses nothing"),
        ("[150000, 460000, 150000, 468000]", "encloses nothing"),
        ("[5.1, 52.0, 5.2, 52.1]", "not degrees"),
        ("[460000, 150000, 468000, 160000]", "x before y"),
        ("[nan, 460000, 160000, 468000]", "outside RD"),
    ],
)
def test_what_is_no_area_in_rd_is_refused(problems: Problems, whole: str, area: str, said: str) -> None:
    (problem,) = problems(f"{whole}{TABLE}area = {area}\n")
    assert "voorbeeldstad.reconcile.area" in problem
    assert said in problem


@pytest.mark.parametrize(
    ("extra", "said"),
    [
        ("", "area: is missing"),
        (BOX + 'every = "1m"\n', "fair use"),
        (BOX + "days_back = 0\n", "days_back"),
        (BOX + 'sink = "archeif"\n', "did you mean `archief`"),
        (BOX + "request.areas = 'x'\n", "did you mean `area`"),
        (BOX + "request.paging = 'link'\n", "'query' or 'body'"),
        (BOX + "response.doel = []\n", "response.doel"),
    ],
)
def test_a_mistake_is_named_with_its_key(problems: Problems, whole: str, extra: str, said: str) -> None:
    (problem,) = problems(whole + TABLE + extra)
    assert "voorbeeldstad.reconcile" in problem
    assert said in problem


def test_it_needs_a_place_to_ask_and_a_place_to_deliver(problems: Problems, small: str) -> None:
    found = problems(f"{small}\n[authorities.stad.reconcile]\n{BOX}")
    assert len(found) == 2
    assert "give this authority a table dso" in found[0]
    assert 'no route has flow "stam"' in found[1]


def test_the_defaults_of_the_words_are_those_of_the_client() -> None:
    settings = SearchSettings()
    assert settings.request == SearchRequestConfig()
    assert settings.response == SearchResponseConfig()
    assert settings.page_size == ReconcileConfig.model_fields["page_size"].default
