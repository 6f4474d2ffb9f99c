"""The picture of a run: latency and calls a second over time, a panel a profile."""

import html
import math

WIDTH, HEIGHT, LEFT, RIGHT = 430, 284, 46, 34
PLOT = WIDTH - LEFT - RIGHT
# The two plots of a panel: how far below its upper edge, and how high.
LATENCY, CALLS = (64, 96), (188, 70)
COLOURS = {"OK": "#1f6feb", "InvalidArgument": "#bf8700", "Unauthenticated": "#8250df", "ResourceExhausted": "#cf222e"}
OTHER, GREY = "#24292f", "#57606a"
BIN = 0.5
# From above.
LINES = [("p99", 0.99, GREY), ("p50", 0.5, COLOURS["OK"])]


def picture(results):
    latencies = [ms for it in results for _, share, _ in LINES for _, ms in percentiles(it, share)] or [1]
    # One scale for all, so that they can be compared.
    decades = math.floor(math.log10(min(latencies))), math.floor(math.log10(max(latencies))) + 1
    place = lambda number: f"translate({number % 2 * WIDTH},{number // 2 * HEIGHT})"
    body = "".join(f'<g transform="{place(number)}">{panel(it, decades)}</g>' for number, it in enumerate(results))
    width, height = WIDTH * min(2, len(results)), HEIGHT * math.ceil(len(results) / 2)
    label = html.escape("Latency and calls a second over time, by profile: " + ", ".join(it.name for it in results))
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
            f'font-family="sans-serif" font-size="11" role="img" aria-label="{label}">'
            f'<rect width="100%" height="100%" fill="#fff"/>{body}</svg>\n')


def panel(result, decades):
    x = lambda at: LEFT + at / result.duration * PLOT
    return heading(result) + seconds(result, x) + latency_plot(result, x, decades) + calls_plot(result, x)


def bins(result):
    """The latency and the code of each call, by when it began."""
    found = [[] for _ in range(math.ceil(result.duration / BIN))]
    for at, latency, code in result.calls:
        # The last call may begin as the time is up.
        found[min(int(at / BIN), len(found) - 1)].append((latency, code))
    return found


def percentiles(result, share):
    """Of the OK calls, with the middle of the bin, where there are any."""
    for number, calls in enumerate(bins(result)):
        if latencies := sorted(latency for latency, code in calls if code == "OK"):
            yield (number + 0.5) * BIN, latencies[min(int(len(latencies) * share), len(latencies) - 1)]


def heading(result):
    """The name, and how many calls ended with which code."""
    out = [text(LEFT, 20, result.name, 'font-size="13" font-weight="bold"')]
    x, codes = LEFT, [code for *_, code in result.calls]
    for code in in_order(set(codes)):
        count = f"{codes.count(code):,} {code}"
        out += [f'<rect x="{x}" y="29" width="9" height="9" fill="{colour(code)}"/>', text(x + 13, 38, count)]
        x += 28 + 6 * len(count)
    return "".join(out)


def seconds(result, x):
    """The axis that both plots share."""
    step = next((it for it in (1, 2, 5, 10, 30, 60) if result.duration / it <= 10), 600)
    ticks = range(0, int(result.duration) + 1, step)
    out = [f'<path d="M{x(at):.1f} {top}v{height}" stroke="#eee"/>' for top, height in (LATENCY, CALLS) for at in ticks]
    out += [text(x(at), sum(CALLS) + 14, f"{at} s" if at == ticks[-1] else at, 'text-anchor="middle"') for at in ticks]
    return "".join(out)


def latency_plot(result, x, decades):
    top, height = LATENCY
    lowest, highest = decades
    y = lambda ms: top + height - (math.log10(ms) - lowest) / (highest - lowest) * height
    out = [text(LEFT, top - 6, "latency of OK calls, ms", f'fill="{GREY}"')]
    out += [grid(y(10 ** it), f"{10.0 ** it:,g}") for it in range(lowest, highest + 1)]
    above = -math.inf
    for name, share, its_colour in LINES:
        points = [(x(at), y(ms)) for at, ms in percentiles(result, share)]
        if points:
            line = " ".join(f"{a:.1f},{b:.1f}" for a, b in points)
            out.append(f'<polyline points="{line}" fill="none" stroke="{its_colour}" stroke-width="1.8"/>')
            # Where the lines end, but not on top of each other.
            above = max(points[-1][1], above + 11)
            out.append(text(LEFT + PLOT + 4, above + 4, name, f'fill="{its_colour}"'))
    return "".join(out)


def calls_plot(result, x):
    """How many calls began, on top of each other by code, and how many were asked for."""
    top, height = CALLS
    asked = [(it * 0.05, result.rate(it * 0.05)) for it in range(int(result.duration / 0.05))]
    began = [[(code, [its for _, its in calls].count(code) / length) for code in in_order({its for _, its in calls})]
             for calls, length in zip(bins(result), lengths(result))]
    # A call more or less doesn't change the scale.
    most = nice(max(max(rate for _, rate in asked), max(sum(rate for _, rate in it) for it in began) * 0.95))
    y = lambda rate: top + height - rate / most * height
    out = [text(LEFT, top - 6, "calls a second", f'fill="{GREY}"')]
    out += [grid(y(it), f"{it:,g}") for it in (0, most / 2, most)]
    for number, (rates, length) in enumerate(zip(began, lengths(result))):
        left, width, below = x(number * BIN) + 0.5, length / result.duration * PLOT - 1, 0
        for code, rate in rates:
            below += rate
            out.append(f'<rect x="{left:.1f}" y="{y(below):.1f}" width="{width:.1f}" height="{rate / most * height:.1f}" fill="{colour(code)}"/>')
    line = "".join(f"H{x(at):.1f}V{y(rate):.1f}" for at, rate in asked)
    out.append(f'<path d="M{LEFT} {y(asked[0][1]):.1f}{line}H{LEFT + PLOT}" fill="none" stroke="{OTHER}" stroke-dasharray="3"/>')
    return "".join(out)


def lengths(result):
    """Of each bin; the last may be short."""
    return [min(BIN, result.duration - number * BIN) for number in range(len(bins(result)))]


def text(x, y, it, look=""):
    return f'<text x="{x:.1f}" y="{y:.1f}" {look}>{html.escape(str(it))}</text>'


def grid(y, label):
    return f'<path d="M{LEFT} {y:.1f}h{PLOT}" stroke="#ddd"/>' + text(LEFT - 5, y + 4, label, 'text-anchor="end"')


def in_order(codes):
    return sorted(codes, key=lambda code: (list(COLOURS).index(code) if code in COLOURS else len(COLOURS), code))


def colour(code):
    return COLOURS.get(code, OTHER)


def nice(most):
    """The next round number."""
    magnitude = 10 ** math.floor(math.log10(most))
    return next(it * magnitude for it in (1, 2, 4, 5, 6, 8, 10) if it * magnitude >= most)
