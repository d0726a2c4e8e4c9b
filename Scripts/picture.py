"""Draws a terminal transcript (standard input) as an SVG (standard output), for docs/images. Lines that start with
"$ " are what was typed, lines that start with "demo:" are progress; everything else is output."""

import sys
from html import escape

WIDTH, HEIGHT, MARGIN, BAR = 8.43, 20, 18, 34
COLOURS = {"typed": "#7ee787", "progress": "#8b949e", "output": "#e6edf3"}


def kind(line):
    if line.startswith("$ "):
        return "typed"
    return "progress" if line.startswith("demo:") else "output"


def main():
    lines = sys.stdin.read().rstrip("\n").split("\n")
    columns = max(len(line) for line in lines)
    width = round(2 * MARGIN + columns * WIDTH)
    height = BAR + HEIGHT * len(lines) + MARGIN
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}">',
        "<title>Terminal transcript</title>",
        f'<rect width="{width}" height="{height}" rx="8" fill="#0d1117" stroke="#30363d"/>',
        *(f'<circle cx="{20 + 18 * n}" cy="18" r="5.5" fill="#30363d"/>' for n in range(3)),
        '<g font-family="ui-monospace, SFMono-Regular, Menlo, Consolas, \'DejaVu Sans Mono\', monospace" font-size="14" '
        'xml:space="preserve">',
    ]
    for number, line in enumerate(lines):
        if line.strip():
            # textLength keeps the columns in place whichever font the reader's system has.
            out.append(
                f'<text x="{MARGIN}" y="{BAR + HEIGHT * (number + 0.75):g}" fill="{COLOURS[kind(line)]}" '
                f'textLength="{len(line) * WIDTH:.1f}">{escape(line)}</text>')
    out += ["</g>", "</svg>"]
    print("\n".join(out))


main()
