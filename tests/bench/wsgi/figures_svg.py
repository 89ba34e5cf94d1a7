"""Line charts as SVG, of nothing but the standard library."""
import html
import math

COLOURS = ["#1f6fb4", "#d95f02", "#2a9d50", "#c0328a", "#7a5cc0", "#b8860b", "#117a8b", "#cc3333", "#555555", "#6b8e23"]
WIDTH, HEIGHT = 680, 340  # without the legend, which stands below in two columns
LEFT, TOP, BOTTOM = 58, 34, 42
LEGEND_LINE = 17


def ticks(top):
    """From 0 to at least `top` in five steps or so of 1, 2, 5 or 10 of something."""
    size = 10 ** math.floor(math.log10(top / 5))
    step = next(size * each for each in (1, 2, 5, 10) if size * each * 5 >= top * 0.999)
    return [step * index for index in range(math.ceil(top / step - 1e-9) + 1)]


def number(value):
    return f"{value:.10g}"


def text(x, y, words, more=""):
    return f'<text x="{x:.1f}" y="{y:.1f}" {more}>{html.escape(words)}</text>'


def chart(title, lines, x_label, y_label, x_ticks=None):
    """`lines` is [(name, [(x, y)])] in the order of their colours; a name of None takes no place in the legend."""
    named = [name for name, _ in lines if name]
    whole = HEIGHT + LEGEND_LINE * math.ceil(len(named) / 2) + 6
    points = [point for _, line in lines for point in line]
    top = max([y for _, y in points] + [0]) or 1
    y_ticks = ticks(top)
    x_ticks = x_ticks or ticks(max([x for x, _ in points] + [1]))
    x_first, x_last = min(0, x_ticks[0]), x_ticks[-1]

    def at(x, y):
        return (LEFT + (x - x_first) / (x_last - x_first) * (WIDTH - LEFT - 12),
                HEIGHT - BOTTOM - y / y_ticks[-1] * (HEIGHT - TOP - BOTTOM))
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {whole}" width="{WIDTH}" height="{whole}" '
           'font-family="sans-serif" font-size="12" fill="#333">',
           f'<rect width="{WIDTH}" height="{whole}" fill="#fff"/>',
           text(LEFT, 20, title, 'font-size="14" font-weight="bold"')]
    for y in y_ticks:
        (x1, height), (x2, _) = at(x_first, y), at(x_last, y)
        out.append(f'<line x1="{x1:.1f}" y1="{height:.1f}" x2="{x2:.1f}" y2="{height:.1f}" stroke="#ddd"/>')
        out.append(text(x1 - 6, height + 4, number(y), 'text-anchor="end"'))
    for x in x_ticks:
        place, bottom = at(x, 0)
        out.append(text(place, bottom + 16, number(x), 'text-anchor="middle"'))
    out.append(text((LEFT + WIDTH) / 2, HEIGHT - 6, x_label, 'text-anchor="middle"'))
    middle = (HEIGHT + TOP - BOTTOM) / 2
    out.append(text(14, middle, y_label, f'text-anchor="middle" transform="rotate(-90 14 {middle})"'))
    for index, (name, line) in enumerate(lines):
        colour = COLOURS[index % len(COLOURS)]
        dash = ' stroke-dasharray="5 3"' if index >= len(COLOURS) else ""
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in (at(*point) for point in line))
        out.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.8"{dash}/>')
        if len(line) < 20:
            out += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.6" fill="{colour}"/>' for x, y in (at(*p) for p in line)]
        if name:
            line_of, column = divmod(named.index(name), 2)
            height, begin = HEIGHT + 6 + LEGEND_LINE * line_of, LEFT + column * (WIDTH - LEFT) / 2
            out.append(f'<line x1="{begin}" y1="{height}" x2="{begin + 24}" y2="{height}" stroke="{colour}" '
                       f'stroke-width="2.5"{dash}/>')
            out.append(text(begin + 30, height + 4, name))
    return "\n".join([*out, "</svg>"]) + "\n"
