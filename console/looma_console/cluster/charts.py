"""Values of a metric as a small picture: points, and its limits as lines across. Pure.

The picture is a box of `WIDTH` by `HEIGHT` whose origin is at the top left, as SVG has it. Everything that is drawn is
within it, limits too, so that a value far below its limit is seen to be so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 160, 48


@dataclass(frozen=True, kw_only=True)
class Reading:
    """One measurement: its value, what the stable revision had, and its verdict; None where there was none."""

    value: float | None
    baseline: float | None = None
    verdict: str = ""


@dataclass(frozen=True, kw_only=True)
class Point:
    """A value in the box, with what it came to."""

    x: float
    y: float
    verdict: str


@dataclass(frozen=True, kw_only=True)
class Chart:
    """What is drawn. `most` and `least` are the heights of the limits, None where there is none of the kind."""

    points: tuple[Point, ...]
    baseline: tuple[Point, ...]
    most: float | None
    least: float | None


def draw(
    readings: Sequence[Reading], *, most: float | None = None, least: float | None = None
) -> Chart | None:
    """The picture of the readings, from old to new; None where not one has a value.

    | what is to be seen        | lower edge | upper edge         |
    | ------------------------- | ---------- | ------------------ |
    | values of 0 and more      | 0          | the highest of all |
    | a value or limit below 0  | the lowest | the highest of all |
    | nothing but zeros         | 0          | 1                  |
    """
    limits = [limit for limit in (most, least) if limit is not None]
    values = [one.value for one in readings if one.value is not None]
    if not values:
        return None
    baselines = [one.baseline for one in readings if one.baseline is not None]
    low = min(0.0, *values, *baselines, *limits)
    high = max(0.0, *values, *baselines, *limits)
    if high == low:
        high = low + 1
    step = WIDTH / max(1, len(readings) - 1)

    def height(value: float) -> float:
        return round(HEIGHT * (1 - (value - low) / (high - low)), 1)

    def points(of: Sequence[float | None]) -> tuple[Point, ...]:
        return tuple(
            Point(x=round(number * step, 1), y=height(value), verdict=readings[number].verdict)
            for number, value in enumerate(of)
            if value is not None
        )

    return Chart(
        points=points([one.value for one in readings]),
        baseline=points([one.baseline for one in readings]),
        most=None if most is None else height(most),
        least=None if least is None else height(least),
    )
