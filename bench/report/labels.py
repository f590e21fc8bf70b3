"""Names beside what they name, so placed that none touch."""

import numpy as np
from matplotlib.transforms import Bbox

from .style import HALO, INK, MUTED


def spread(wanted, gap):
    """Positions near the wanted ones, in their order, at least `gap` apart: neighbours that touch become a group that
    stands around its middle."""
    order = sorted(range(len(wanted)), key=lambda i: wanted[i])
    groups = []  # [sum of wanted, members]
    for i in order:
        groups.append([wanted[i], [i]])
        while len(groups) > 1 and bottom(groups[-1], gap) - top(groups[-2], gap) < gap:
            total, members = groups.pop()
            groups[-1] = [groups[-1][0] + total, groups[-1][1] + members]
    placed = [0.0] * len(wanted)
    for group in groups:
        for step, i in enumerate(group[1]):
            placed[i] = bottom(group, gap) + step * gap
    return placed


def bottom(group, gap):
    return group[0] / len(group[1]) - gap * (len(group[1]) - 1) / 2


def top(group, gap):
    return bottom(group, gap) + gap * (len(group[1]) - 1)


def label_ends(ax, ends, points=13):
    """Names right of the ends of lines: [(x, y, text, colour)]. Those that would touch move apart, with a thin line back."""
    ax.figure.canvas.draw()
    pixels = [ax.transData.transform((x, y)) for x, y, _, _ in ends]
    scale = ax.figure.dpi / 72
    heights = spread([y for _, y in pixels], points * scale)
    least = ax.transAxes.transform((0, 0))[1]
    if heights and min(heights) < least:
        heights = spread([max(y, least + i * 0.01) for i, (_, y) in enumerate(pixels)], points * scale)
    right = max((x for x, _ in pixels), default=0)
    for (x, y, text, colour), (_, at), height in zip(ends, pixels, heights):
        ax.annotate(
            text,
            (x, y),
            ((right - ax.transData.transform((x, y))[0]) / scale + 12, (height - at) / scale),
            textcoords="offset points",
            va="center",
            color=colour,
            annotation_clip=False,
            arrowprops={"arrowstyle": "-", "color": colour, "lw": 0.6, "shrinkA": 1, "shrinkB": 3},
        )


AROUND = [(1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (-1, 1), (1, -1), (-1, -1), (0.5, -1), (-0.5, -1)]
SIDES = {1: ("left", "bottom"), -1: ("right", "top")}


def place_labels(ax, points, taken=()):
    """Names beside points, [(x, y, text)], in free places: the nearest ones first, then further off with a thin line.
    `taken`: boxes that are not free."""
    scale = ax.figure.dpi / 72
    spots = [ax.transData.transform((x, y)) for x, y, _ in points]
    boxes = list(taken)
    boxes += [Bbox.from_extents(x - 5, y - 5, x + 5, y + 5) for x, y in spots]
    for (x, y, text), spot in sorted(zip(points, spots), key=lambda p: (-p[1][1], -p[1][0])):
        label = ax.annotate(text, (x, y), (0, 0), textcoords="offset points", color=INK, zorder=6, path_effects=HALO)
        near = free_place(ax, label, spot, boxes, scale)
        boxes.append(label.get_window_extent().padded(scale))
        if np.hypot(*(near - spot)) > 12 * scale:
            boxes += [Bbox.from_extents(*at - 1, *at + 1) for at in between(spot, near)]
            line = {"arrowstyle": "-", "color": MUTED, "lw": 0.6, "shrinkA": 0, "shrinkB": 3}
            ax.annotate("", (x, y), ax.transData.inverted().transform(near), arrowprops=line)


def free_place(ax, label, spot, boxes, scale):
    """Moves the label to where it touches nothing, and its line neither if there is such a place; the end of the line."""
    inside, second = ax.get_window_extent(), None
    for distance in (7, 12, 18, 26, 36, 48, 62, 78, 96, 116, 138):
        for side in AROUND:
            box = move(label, distance, side)
            near = np.clip(spot, box.p0, box.p1)
            if not (inside.contains(*box.p0) and inside.contains(*box.p1)) or box.count_overlaps(boxes):
                continue
            if distance <= 12 or not any(b.contains(*at) for b in boxes for at in between(spot, near)):
                return near
            second = second or (distance, side)
    box = move(label, *(second or (7, AROUND[0])))
    return np.clip(spot, box.p0, box.p1)


def move(label, distance, side):
    """The box that the label then has."""
    dx, dy = side
    label.set_position((dx * distance, dy * distance))
    label.set_ha(SIDES[dx][0] if dx in SIDES else "center")
    label.set_va(SIDES[dy][1] if dy in SIDES else "center")
    return label.get_window_extent()


def between(start, end):
    """Places on the line from the start to the end, without what stands within 8 pixels of the start."""
    count = int(np.hypot(*(end - start)) / 4)
    return [start + (end - start) * i / count for i in range(2, count)] if count > 2 else []
