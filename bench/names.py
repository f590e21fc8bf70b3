"""What the name of a benchmark of attn_bench says: <kind>/...[/threads:N]."""

import re

ADDED = "/(real_time|process_time|manual_time|(min_time|min_warmup_time|iterations|repeats):[^/]*)"  # by Google Benchmark
SPECIAL = frozenset(".+*?()[]{}|$")


def plain_name(full):
    return re.sub(ADDED, "", full)


def pattern(plain_names):
    """A regular expression, of any kind that Google Benchmark is built with, that matches these alone."""
    quoted = ("".join(f"[{c}]" if c in SPECIAL else c for c in name) for name in plain_names)
    return f"^({'|'.join(quoted)})({ADDED})*$"


def parse(name):
    """What results.schema.json has of a row by its name: all but its shape. Raises a ValueError for a name that is none."""
    found = re.fullmatch("(.+?)(?:/threads:([1-9][0-9]*))?", name)
    try:
        kind, isa, path, row, option = split(found[1].split("/"))
    except (IndexError, TypeError, ValueError):
        raise ValueError(f"{name!r} is not the name of a benchmark") from None
    if not row:
        raise ValueError(f"{name!r} names no row")
    return {
        "name": name,
        "kind": kind,
        "isa": isa,
        "path": path,
        "row": row,
        "option": option,
        "threads": int(found[2] or 1),
    }


def split(words):
    """kind, isa, path, row, option; rows of rows.txt may have slashes themselves."""
    kind, *rest = words
    match kind:
        case "peak" | "exp":
            (isa,) = rest
            return kind, isa, None, kind, None
        case "bandwidth":
            (level,) = rest
            return kind, None, None, level, None
        case "kernel" | "softmax":
            return kind, rest[0], None, "/".join(rest[1:]), None
        case "attention":
            return kind, rest[1], rest[0], "/".join(rest[2:]), None
        case "plain":
            return kind, None, "plain", "/".join(rest), None
        case "options":
            return kind, rest[0], None, "/".join(rest[1:-1]), rest[-1]
        case "layer":
            return kind, rest[0], rest[1], "/".join(rest[2:-1]), rest[-1]
        case "grid":
            plain = rest[0] == "plain"
            return kind, None if plain else rest[0], "plain" if plain else "streaming", "/".join(rest[1:]), None
    raise ValueError(kind)
