"""Values of analyses as pictures: all that is drawn lies in the box, and limits are those of the right analysis."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from looma_console.cluster.charts import HEIGHT, WIDTH, Reading, draw
from looma_console.cluster.rollouts import limits_of


def readings(*values: float | None) -> list[Reading]:
    return [Reading(value=value, verdict="Successful") for value in values]


def test_a_value_is_where_its_share_of_the_height_is() -> None:
    chart = draw(readings(0, 1, None, 4), most=2, least=1)
    assert chart is not None
    # The third could not be measured: it has a place and no point.
    assert [(point.x, point.y) for point in chart.points] == [(0, 48), (53.3, 36), (160, 0)]
    assert (chart.most, chart.least) == (24, 36)


def test_a_limit_far_above_the_values_is_the_upper_edge() -> None:
    chart = draw(readings(1), most=10)
    assert chart is not None
    assert (chart.most, chart.least, chart.points[0].y) == (0, None, 43.2)


def test_nothing_but_zeros_lies_on_the_ground() -> None:
    chart = draw(readings(0, 0))
    assert chart is not None
    assert {point.y for point in chart.points} == {HEIGHT}


def test_what_the_stable_revision_had_is_drawn_in_the_same_measure() -> None:
    chart = draw([Reading(value=2, baseline=1), Reading(value=2, baseline=None)])
    assert chart is not None
    assert [(point.x, point.y) for point in chart.baseline] == [(0, 24)]


@pytest.mark.parametrize("none", [[], readings(None), readings(None, None)])
def test_without_a_value_there_is_no_picture(none: list[Reading]) -> None:
    assert draw(none, most=1) is None


NUMBERS = st.floats(-1e9, 1e9)
MAYBE = st.none() | NUMBERS


@given(st.lists(st.tuples(MAYBE, MAYBE), max_size=10), MAYBE, MAYBE)
def test_everything_lies_in_the_box_and_more_is_higher(
    values: list[tuple[float | None, float | None]], most: float | None, least: float | None
) -> None:
    given_ = [Reading(value=value, baseline=baseline) for value, baseline in values]
    chart = draw(given_, most=most, least=least)
    if chart is None:
        assert all(value is None for value, _ in values)
        return
    heights = [point.y for point in (*chart.points, *chart.baseline)]
    heights += [limit for limit in (chart.most, chart.least) if limit is not None]
    assert all(0 <= height <= HEIGHT for height in heights)
    assert all(0 <= point.x <= WIDTH for point in chart.points)
    known = [value for value, _ in values if value is not None]
    pairs = sorted(zip(known, (point.y for point in chart.points), strict=True))
    assert [height for _, height in pairs] == sorted((height for _, height in pairs), reverse=True)
    if most is not None and chart.most is not None:
        assert all(height >= chart.most for value, height in pairs if value <= most)


METRICS = {"metrics": [{"name": "errors", "max": 1}, {"name": "score", "min": 0.5, "max": 2}]}


@pytest.mark.parametrize(
    ("rollout", "run", "metric", "limits"),
    [
        ({"steps": [{"setWeight": 5}, {"analysis": METRICS}]}, "step-1", "errors", (1, None)),
        ({"steps": [{"setWeight": 5}, {"analysis": METRICS}]}, "step-1", "score", (2, 0.5)),
        ({"steps": [{"setWeight": 5}, {"analysis": METRICS}]}, "step-0", "errors", (None, None)),
        ({"steps": [{"setWeight": 5}]}, "step-7", "errors", (None, None)),
        ({"steps": []}, "step-x", "errors", (None, None)),
        ({"analysis": METRICS}, "background", "errors", (1, None)),
        ({"prePromotionAnalysis": METRICS}, "prePromotion", "errors", (1, None)),
        ({"postPromotionAnalysis": METRICS}, "postPromotion", "score", (2, 0.5)),
        ({"analysis": METRICS}, "background", "other", (None, None)),
        ({}, "background", "errors", (None, None)),
    ],
)
def test_whose_limits_they_are(
    rollout: dict, run: str, metric: str, limits: tuple[float | None, float | None]
) -> None:
    assert limits_of({"rollout": rollout}, run=run, metric=metric) == limits
