"""Pictures as SVG, made by Vega-Lite: bars, lines, areas and points in the colours of the page.

In: rows of plain values. Out: SVG whose colours are CSS variables, so that a page in dark colours has dark pictures.
"""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

Row = Mapping[str, Any]
WIDTH, HEIGHT = 372, 210
FEW = 5
"""Counts up to which every one has a tick of its own."""
SERIES = tuple(f"var(--c{number})" for number in range(8))
_SCHEMA = "https://vega.github.io/schema/vega-lite/v5.json"
_FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"
_SHORT = "abs(datum.value) >= 10000 ? format(datum.value, '~s') : datum.label"
_AXIS = {
    "labelColor": "var(--soft)", "titleColor": "var(--soft)", "gridColor": "var(--line)", "domainColor": "var(--line)",
    "tickColor": "var(--line)", "labelFontSize": 11, "titleFontSize": 11, "titleFontWeight": "normal",
    "labelFont": _FONT, "titleFont": _FONT, "titlePadding": 8, "tickSize": 4,
}  # fmt: skip
_LEGEND = {
    "labelColor": "var(--fg)", "labelFont": _FONT, "labelFontSize": 11, "title": None, "orient": "top",
    "symbolType": "square", "labelLimit": 150, "columns": 3, "columnPadding": 22, "offset": 6,
}  # fmt: skip
CONFIG = {
    "background": None,
    "view": {"stroke": None},
    "axis": _AXIS,
    "legend": _LEGEND,
    "range": {"category": list(SERIES)},
    "bar": {"color": SERIES[0]},
    "line": {"color": SERIES[0], "strokeWidth": 2},
    "text": {"font": _FONT, "fontSize": 11, "color": "var(--fg)"},
}


def svg(spec: Row) -> str:
    """The picture of a Vega-Lite specification, with a size that its page decides."""
    import vl_convert

    whole = {"$schema": _SCHEMA, "width": WIDTH, "height": HEIGHT, "config": CONFIG, **spec}
    text = _own_names(str(vl_convert.vegalite_to_svg(whole)), whole)
    return re.sub(r'^(<svg[^>]*?) width="([\d.]+)" height="([\d.]+)"', r'\1 style="max-width:\2px"', text, count=1)


def _own_names(text: str, spec: Row) -> str:
    """The picture with names of its own for clips and gradients: Vega counts them through all pictures it makes."""
    digest = hashlib.sha256(json.dumps(spec, sort_keys=True).encode()).hexdigest()[:8]
    for number, name in enumerate(dict.fromkeys(re.findall(r' id="(\w+)"', text))):
        text = re.sub(rf'(id="|url\(#){name}(?=["\)])', rf"\1p{digest}-{number}", text)
    return text


def bars(rows: Sequence[Row], x: str, y: str, *, label: str = ".4f") -> str:
    """Horizontal bars, one a row, in the order given, with their values."""
    here: dict[str, Any] = {
        "y": {"field": x, "type": "nominal", "sort": None, "axis": {"title": None, "labelLimit": 150, "minExtent": 128}}
    }
    value = {
        "field": y,
        "type": "quantitative",
        "axis": {"title": None, "grid": False, "labels": False, "ticks": False},
    }
    colour = (
        {"field": "colour", "type": "nominal", "scale": None} if rows and "colour" in rows[0] else {"value": SERIES[0]}
    )
    layers = [
        {"mark": {"type": "bar", "cornerRadiusEnd": 2}, "encoding": {"color": colour}},
        {
            "mark": {"type": "text", "align": "left", "dx": 4},
            "encoding": {"text": {"field": y, "type": "quantitative", "format": label}},
        },
    ]
    height = max(60, 26 * len(rows))
    return svg({"data": {"values": list(rows)}, "height": height, "encoding": {**here, "x": value}, "layer": layers})


def histogram(rows: Sequence[Row], title: str, **options: Any) -> str:
    """Bars over ranges: rows hold `low`, `high`, `count`, and `kind` where there are several series.

    Options: `log_x`, `log_y`, `what` (title of the other axis).
    """
    several = len({row.get("kind") for row in rows}) > 1
    scale_x = {"type": "log"} if options.get("log_x") else {"zero": False, "nice": False}
    most, is_count = max(row["count"] for row in rows), all(isinstance(row["count"], int) for row in rows)
    is_log = bool(options.get("log_y")) and most > FEW
    counts = _axis("count", options.get("what", "documents"), {"type": "symlog"} if is_log else {}, ticks=5)
    if is_log:  # Vega's own ticks of this scale are a few round numbers far apart
        counts["axis"]["values"] = [0, *(10**n for n in range(12) if 10**n <= most)]
    elif is_count and most <= FEW:
        counts["axis"]["values"] = list(range(most + 1))
    encoding: dict[str, Any] = {
        "x": _axis("low", title, scale_x, ticks=6),
        "x2": {"field": "high"},
        "y2": {"datum": 0},
        "y": counts | {"stack": None},
    }
    if several:
        encoding["color"] = {"field": "kind", "type": "nominal", "sort": None}
    mark = {"type": "bar", "opacity": 0.65 if several else 0.9, "binSpacing": 0.5}
    return svg({"data": {"values": list(rows)}, "mark": mark, "encoding": encoding})


def lines(rows: Sequence[Row], x: str, y: str, *, x_title: str, y_title: str, **options: Any) -> str:
    """A line through rows, one for each `kind`; options: `log_x`, `zero`, `points`."""
    several = len({row.get("kind") for row in rows}) > 1
    scale_x = {"type": "log", "base": 2} if options.get("log_x") else {"nice": False}
    encoding: dict[str, Any] = {
        "x": _axis(x, x_title, scale_x, ticks=6),
        "y": _axis(y, y_title, {"zero": bool(options.get("zero"))}, ticks=5),
    }
    if several:
        encoding["color"] = {"field": "kind", "type": "nominal", "sort": None}
    mark = {"type": "line", "interpolate": "monotone", "point": bool(options.get("points"))}
    return svg({"data": {"values": list(rows)}, "mark": mark, "encoding": encoding})


def shares(rows: Sequence[Row], *, x_title: str) -> str:
    """Areas that add up to a whole: rows hold `x`, `share`, `kind`."""
    order = list(dict.fromkeys(str(row["kind"]) for row in rows))
    encoding = {
        "x": _axis("x", x_title, {"nice": False}, ticks=6),
        "y": _axis("share", "share of tokens", {}, ticks=5) | {"stack": "normalize"},
        "color": {"field": "kind", "type": "nominal", "sort": order},
    }
    encoding["y"]["axis"] |= {"format": "%", "labelExpr": "datum.label"}
    return svg({"data": {"values": list(rows)}, "mark": {"type": "area", "line": False}, "encoding": encoding})


def points(rows: Sequence[Row], *, by_name: bool, legend: str) -> str:
    """A square of points: rows hold `x`, `y` and `c`, a name or (not `by_name`) a number from 0 to 1."""
    blank = {"axis": None, "scale": {"zero": False, "nice": False}, "type": "quantitative"}
    colour: dict[str, Any] = {"field": "c", "type": "nominal", "sort": None}
    if not by_name:
        low_high = {"labelExpr": "datum.value ? 'last' : 'first'", "values": [0, 1], "title": legend, "columns": 1}
        colour = {"field": "c", "type": "quantitative", "scale": {"scheme": "viridis"}, "legend": {
            **low_high, "titleColor": "var(--soft)", "titleFont": _FONT, "gradientLength": 160,
            "titleFontWeight": "normal",
        }}  # fmt: skip
    mark = {"type": "circle", "size": 14, "opacity": 0.75, "aria": False}
    encoding = {"x": {"field": "x", **blank}, "y": {"field": "y", **blank}, "color": colour}
    text = svg({"data": {"values": list(rows)}, "width": 560, "height": 560, "mark": mark, "encoding": encoding})
    text = re.sub(r' stroke-width="2" opacity="0.75"', "", text)
    return re.sub(r"\d+\.\d{3,}", lambda number: f"{float(number.group()):.1f}", text)


def _axis(name: str, title: str, scale: Row, *, ticks: int) -> dict[str, Any]:
    return {
        "field": name,
        "type": "quantitative",
        "scale": dict(scale),
        "axis": {"title": title, "tickCount": ticks, "labelOverlap": True, "labelExpr": _SHORT},
    }
