"""A campaign as one HTML page that needs nothing else: no script, no font, no network."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from html import escape

from iommu_abi import __version__
from iommu_abi.fuzz.campaign.state import Sample
from iommu_abi.fuzz.campaign.store import Finding
from iommu_abi.fuzz.campaign.summary import OfTarget, Summary

_STYLE = """
:root { color-scheme: light dark; --line: #8884; --good: #2a7d4f; --bad: #c0392b; --ink: #3b6fb6; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 72rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; margin-bottom: 0; } h2 { font-size: 1.15rem; margin-top: 2.2rem; }
p.sub { color: #888; margin-top: .2rem; }
.cards { display: flex; flex-wrap: wrap; gap: .8rem; margin: 1.2rem 0; }
.card { border: 1px solid var(--line); border-radius: .5rem; padding: .5rem 1rem; min-width: 7rem; }
.card b { display: block; font-size: 1.4rem; } .good { color: var(--good); } .bad { color: var(--bad); }
table { border-collapse: collapse; width: 100%; font-size: .9rem; }
th, td { text-align: left; padding: .25rem .6rem; border-bottom: 1px solid var(--line); vertical-align: top; }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; }
meter { width: 6rem; } pre { overflow-x: auto; background: #8881; padding: .6rem; border-radius: .4rem; }
code, pre { font-family: ui-monospace, monospace; font-size: .85rem; }
details { margin: .5rem 0; } summary { cursor: pointer; }
svg text { font: 11px system-ui, sans-serif; fill: #888; }
"""

#: The chart, in units of its viewBox; EDGE has room for ten digits.
WIDTH, HEIGHT, EDGE, TOP, BELOW = 640, 200, 60, 10, 24
#: What no page has: control characters, halves of surrogate pairs. Causes and names come from strangers.
_UNWRITABLE = re.compile("[\0-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")


def page(found: Summary) -> str:
    """The whole page."""
    parts = [
        "<!doctype html><html lang=en><meta charset=utf-8><title>iommu-abi fuzz</title>",
        f"<style>{_STYLE}</style>",
        "<h1>iommu-abi fuzz</h1>",
        f"<p class=sub>{escape(str(found.store.root))}, iommu-abi {escape(__version__)}</p>",
        _not_run(found),
        _cards(found),
        _findings(found),
        _growth(found.state.samples),
        _targets(found.targets),
        _missing(found.targets),
        _differences(found),
    ]
    return _UNWRITABLE.sub("\N{REPLACEMENT CHARACTER}", "\n".join(parts) + "\n")


def _table(headings: Sequence[str], rows: Iterable[Sequence[str]], numbers: Sequence[int] = ()) -> str:
    """A table of cells that are HTML already; columns of numbers stand to the right."""

    def row(tag: str, cells: Sequence[str]) -> str:
        marked = (f"<{tag}{' class=n' * (i in numbers)}>{cell}" for i, cell in enumerate(cells))
        return f"<tr>{''.join(marked)}</tr>"

    body = "\n".join(row("td", each) for each in rows)
    return f"<table><thead>{row('th', headings)}</thead><tbody>{body}</tbody></table>"


def _time(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def _not_run(found: Summary) -> str:
    """What was asked for and did not happen, and which engines could not take part."""
    lacking = [f"engine {name}: not here, it needs {lack}" for name, lack in found.engines.items() if lack]
    items = [f"<li class=bad>{escape(text)}" for text in found.not_run]
    items += [f"<li>{escape(text)}" for text in lacking]
    return f"<h2>Not run</h2><ul>{''.join(items)}</ul>" if items else ""


def _cards(found: Summary) -> str:
    known = sum(each.known for each in found.targets)
    reached = sum(each.reached for each in found.targets)
    count = len(found.findings)
    cards = [
        ("findings", f"<span class={'bad' if count else 'good'}>{count}</span>"),
        ("inputs run", f"{found.state.executions:,}"),
        ("per second", f"{found.rate:,.0f}"),
        ("time", _time(found.state.elapsed)),
        ("inputs kept", f"{sum(each.corpus for each in found.targets):,}"),
        ("known features reached", f"{reached:,} of {known:,}"),
    ]
    return f"<div class=cards>{''.join(f'<div class=card><b>{b}</b>{a}</div>' for a, b in cards)}</div>"


# ---------------------------------------------------------------- findings


def _findings(found: Summary) -> str:
    if not found.findings:
        return "<h2>Findings</h2><p>None: no crash, no hang, no disagreement that is not explained below."
    return "<h2>Findings</h2>" + "".join(_finding(found, each) for each in found.findings)


def _finding(found: Summary, finding: Finding) -> str:
    data = found.store.input(finding)
    size, before = len(data), len(found.store.original(finding))
    shown = next((each.target.show(data) for each in found.targets if each.target.name == finding.name), [])
    return (
        f"<h3>{escape(finding.name)}: {escape(finding.cause)}</h3>"
        f"<p>Found by {escape(finding.engine)} with {before} bytes, minimised to {size}. Once more:</p>"
        f"<pre>{escape(found.store.reproducer(finding))}</pre>"
        f"<details open><summary>the input</summary><pre>{escape(chr(10).join(shown))}</pre></details>"
        f"<details><summary>what was said</summary><pre>{escape(finding.text)}</pre></details>"
    )


# ---------------------------------------------------------------- growth


def _x(part: float) -> float:
    return EDGE + (WIDTH - 2 * EDGE) * part


def _y(part: float) -> float:
    return TOP + (HEIGHT - TOP - BELOW) * (1 - part)


def _line(points: Sequence[tuple[float, float]], last: float, most: float, colour: str) -> str:
    places = " ".join(f"{_x(x / last):.1f},{_y(y / most):.1f}" for x, y in points)
    return f'<polyline fill="none" stroke="{colour}" stroke-width="2" points="{places}"/>'


def _label(x: float, y: float, anchor: str, text: str, colour: str = "#888") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" style="fill:{colour}">{text}</text>'


def _axes(last: float, corpus: int, features: int) -> str:
    """Time below, in quarters; on each side its line's numbers, in halves."""
    frame = f"M{_x(0):.1f} {_y(1):.1f}V{_y(0):.1f}H{_x(1):.1f}V{_y(1):.1f}"
    ticks = "".join(f"M{_x(i / 4):.1f} {_y(0):.1f}v4" for i in range(5))
    grid = "".join(f"M{_x(0):.1f} {_y(i / 2):.1f}H{_x(1):.1f}" for i in (1, 2))
    made = [f'<path d="{frame}{ticks}{grid}" fill="none" stroke="var(--line)"/>']
    made += [_label(_x(i / 4), _y(0) + 17, "middle", _time(last * i / 4)) for i in range(5)]
    for i in range(3):
        y = _y(i / 2) + 4
        made.append(_label(_x(0) - 6, y, "end", f"{corpus * i // 2:,}", "var(--ink)"))
        made.append(_label(_x(1) + 6, y, "start", f"{features * i // 2:,}", "var(--good)"))
    return "".join(made)


def _growth(samples: Sequence[Sample]) -> str:
    """Inputs kept, and features reached, over time."""
    if len(samples) < 2 or not samples[-1].at:
        return ""
    last = samples[-1].at
    thin = [*samples[:: max(1, len(samples) // 300)], samples[-1]]
    corpus, features = max(s.corpus for s in samples) or 1, max(s.features for s in samples) or 1
    lines = _line([(s.at, s.corpus) for s in thin], last, corpus, "var(--ink)")
    lines += _line([(s.at, s.features) for s in thin], last, features, "var(--good)")
    title = f"inputs kept, up to {corpus:,}, and features reached, up to {features:,}, over {_time(last)}"
    return (
        "<h2>Growth</h2><p>Over the time of the campaign: "
        "<span style='color:var(--ink)'>inputs kept</span> (left) and "
        "<span style='color:var(--good)'>features reached</span> (right)</p>"
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" width="100%" role="img"><title>{title}</title>'
        f"{_axes(last, corpus, features)}{lines}</svg>"
    )


# ---------------------------------------------------------------- targets


def _targets(targets: Sequence[OfTarget]) -> str:
    rows = []
    for each in targets:
        runs = "<br>".join(f"{count.executions:,}" for count in each.engines.values())
        rates = "<br>".join(f"{count.rate:,.0f}" for count in each.engines.values())
        meter = f'<meter max="{each.known}" value="{each.reached}"></meter>' if each.known else ""
        of = f"{each.reached} of {each.known}" if each.known else f"{each.features}"
        rows.append(
            (
                f"<code>{escape(each.target.name)}</code><br>{escape(each.target.about)}",
                "<br>".join(map(escape, each.engines)),
                runs,
                rates,
                f"{each.corpus:,}",
                f"{meter} {of}",
                f"<span class=bad>{each.findings}</span>" if each.findings else "0",
            )
        )
    headings = ("target", "engine", "inputs", "a second", "kept", "features reached", "findings")
    return "<h2>Targets</h2>" + _table(headings, rows, (2, 3, 4, 6))


def _missing(targets: Sequence[OfTarget]) -> str:
    """What was not reached, and what nothing can reach, with the reason."""
    missing = [(each.target.name, name) for each in targets for name in each.missing]
    dead = [(each.target.name, name, cause) for each in targets for name, cause in each.dead.items()]
    made = "<h2>Not reached</h2>"
    if missing:
        cells = [(f"<code>{escape(target)}</code>", escape(name)) for target, name in missing]
        made += _table(("target", "feature that this campaign has not reached"), cells)
    else:
        made += "<p>Everything that is known to be reachable was reached."
    if dead:
        cells3 = [(f"<code>{escape(t)}</code>", escape(name), escape(cause)) for t, name, cause in dead]
        made += (
            f"<details><summary>{len(dead)} combinations that nothing can reach, each with its reason"
            f"</summary>{_table(('target', 'combination', 'why'), cells3)}</details>"
        )
    return made


# ---------------------------------------------------------------- generations


def _differences(found: Summary) -> str:
    if not found.differences:
        return ""
    rows = [
        (
            f"<code>{escape(d.struct)}</code>",
            escape(d.program),
            escape(d.kernel),
            "<br>".join(map(escape, d.effects)),
        )
        for d in found.differences
    ]
    return (
        "<h2>Generation against generation</h2>"
        "<p>What became of fields when a program built for one generation met a kernel of a neighbouring one."
        " These are differences of the ABIs and no findings; a finding would be one that"
        " <code>iommu-abi compat</code> had called compatible.</p>"
        f"<details><summary>{len(rows)} meetings with differences</summary>"
        f"{_table(('struct', 'program', 'kernel', 'what happens'), rows)}</details>"
    )
