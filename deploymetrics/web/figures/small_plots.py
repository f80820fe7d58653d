"""Small plots and sparklines as SVG within the page: no script, no style of their own, values under the pointer.

The page's stylesheet gives the colours, so a plot follows light and dark. What a plot holds is escaped here.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, tzinfo

from markupsafe import Markup, escape

from ...clock import as_last_changed, from_precise
from ...documents.values.numbers import shorten_number
from ...documents.values.series import Point, Series
from ...formats.escaping import counted
from .axes import Scale, tick_labels, time_scale, time_ticks, value_scale
from .points import segments, thin

WIDTH, HEIGHT = 360, 168
LEFT, RIGHT, TOP, BOTTOM = 46, 12, 24, 24
MAX_POINTS = 72
SPARK_WIDTH, SPARK_HEIGHT = 88, 24


def sparkline(values: Sequence[float], title: str) -> Markup:
    """Return the SVG of a sparkline, with its last value marked."""
    low, high = min(values), max(values)
    across = Scale(0, max(len(values) - 1, 1), 2, SPARK_WIDTH - 4)
    up = Scale(low, high, SPARK_HEIGHT - 4, 4)
    positions = [(across.at(index), up.at(value)) for index, value in enumerate(values)]
    line = " ".join(f"{x:g},{y:g}" for x, y in positions)
    x, y = positions[-1] if len(positions) > 1 else (SPARK_WIDTH / 2, SPARK_HEIGHT / 2)
    title = escape(title)
    return Markup(
        f'<svg class="spark" viewBox="0 0 {SPARK_WIDTH} {SPARK_HEIGHT}" role="img" aria-label="{title}"><title>{title}'
        f'</title><polyline points="{line}"/><circle cx="{x:g}" cy="{y:g}" r="2"/></svg>'
    )


def small_plot(name: str, series: Series, zone: tzinfo = UTC) -> Markup:
    """Return the SVG of a small plot of a Series over time, with at most MAX_POINTS points (see ``thin``)."""
    points = thin(series, MAX_POINTS)
    times = [from_precise(point.changed_at).astimezone(zone) for point in points]
    moments = [time.timestamp() for time in times]
    across = time_scale(min(moments), max(moments), LEFT + 2, WIDTH - RIGHT)  # a clock may have been set back
    up, ticks = value_scale([point.value for point in points], HEIGHT - BOTTOM, TOP)
    positions = [(across.at(moment), up.at(point.value)) for moment, point in zip(moments, points)]
    title = escape(summary(name, series.points))
    svg = [
        f'<svg class="plot" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{title}">',
        *_axes(up, ticks, across, zone),
        *(_line(up, line) for line in segments(series, points, positions)),
        *_hover(positions, points, times),
        "</svg>",
    ]
    return Markup("".join(svg))


def summary(name: str, points: list[Point]) -> str:
    """Return a plot in words, for people who do not see it."""
    low = min(points, key=lambda point: point.value)
    high = max(points, key=lambda point: point.value)
    count, texts = counted(len(points), "value", ","), [shorten_number(point.text) for point in (low, high, points[-1])]
    return "{}: {}, lowest {}, highest {}, last {}".format(name, count, *texts)


def _axes(up: Scale, ticks: list[float], across: Scale, zone: tzinfo) -> Iterator[str]:
    for tick, label in zip(ticks, tick_labels(ticks)):
        y = up.at(tick)
        yield f'<path class="grid" d="M{LEFT} {y:g}H{WIDTH - RIGHT}"/>'
        yield f'<text class="up" x="{LEFT - 6}" y="{y + 3.5:g}">{label}</text>'
    yield f'<path class="axis" d="M{LEFT} {HEIGHT - BOTTOM}H{WIDTH - RIGHT}"/>'
    for seconds, label in time_ticks(across, zone=zone):
        x = across.at(seconds)
        yield f'<path class="axis" d="M{x:g} {HEIGHT - BOTTOM}v4"/>'
        yield f'<text class="across" x="{min(x, WIDTH - 24):g}" y="{HEIGHT - 7}">{label}</text>'


def _line(up: Scale, positions: list[tuple[float, float]]) -> str:
    """Return the SVG of a line, with the area below it if the scale begins at zero."""
    line = " ".join(f"{x:g},{y:g}" for x, y in positions)
    area = f"{positions[0][0]:g},{up.start:g} {line} {positions[-1][0]:g},{up.start:g}"
    return f'{"" if up.low else f"""<polygon class="area" points="{area}"/>"""}<polyline points="{line}"/>'


def _hover(positions: list[tuple[float, float]], points: list[Point], times: list[datetime]) -> Iterator[str]:
    """Yield for each point the SVG that shows its value while the pointer is nearest to it."""
    dots = "dots" if len(points) <= 24 else "line"
    for index, ((x, y), point, time) in enumerate(zip(positions, points, times)):
        begin = (positions[index - 1][0] + x) / 2 if index else LEFT
        end = (positions[index + 1][0] + x) / 2 if index + 1 < len(positions) else WIDTH
        text = escape(f"{shorten_number(point.text)} · {as_last_changed(time)}")
        yield (
            f'<g class="{dots}">'
            f'<rect x="{begin:.1f}" y="0" width="{max(end - begin, 0.1):.1f}" height="{HEIGHT - BOTTOM}"/>'
            f'<circle cx="{x:g}" cy="{y:g}" r="3"/><text class="tip" x="{WIDTH - RIGHT}" y="14">{text}</text>'
            f"<title>{text}</title></g>"
        )
