"""What this machine can do, and how near to it a row comes.

  computing = flop / peak + exponentials / their rate
  reading   = bytes / bandwidth of the smallest level that holds them
  attainable = the longer of the two
"""

KINDS = {  # of rows that measure a rate: its name in the file, the counter, what one is worth there, what names it
    "peak": ("peak_gflops", "flop", 1e-9, "isa"),
    "exp": ("exps_per_second", "exps", 1, "isa"),
    "bandwidth": ("read_bytes_per_second", "bytes", 1, "row"),
}


def rates_of(rows):
    """By the fastest round: a limit that a row passes is none, and others on the machine only ever slow a round down."""
    rates = {name: {} for name, *_ in KINDS.values()}
    for row in rows:
        if row["kind"] in KINDS and row[KINDS[row["kind"]][1]]:
            name, counter, unit, by = KINDS[row["kind"]]
            rates[name].setdefault(row[by], {})[str(row["threads"])] = row[counter] * unit / min(row["samples"])
    return rates


def levels(machine, threads):
    """[(name, bytes that it holds)], the smallest first. L1 and L2 are each core's own."""
    sizes = {}
    for cache in machine["caches"]:
        name = f"L{cache['level']}"
        sizes[name] = cache["bytes"] * (threads if cache["level"] <= 2 else 1)
    return [*sorted(sizes.items(), key=lambda item: item[1]), ("memory", float("inf"))]


def level_of(byte_count, machine, threads):
    """None where the caches are not known."""
    if not machine["caches"]:
        return None
    return next(name for name, size in levels(machine, threads) if byte_count <= size)


def rate(rates, name, of, threads):
    return rates[name].get(of, {}).get(str(threads))


def isa_of(row, rates):
    """Plain loops are held to what the best instruction set, the first one measured, can do."""
    return row["isa"] or next(iter(rates["peak_gflops"]), None)


def attainable_seconds(row, rates, machine):
    """None where a rate that it needs is not known, or where nothing was counted."""
    isa, threads = isa_of(row, rates), row["threads"]
    level = row["row"] if row["kind"] == "bandwidth" else level_of(row["bytes"] or 0, machine, threads)
    parts = (
        (row["flop"], "peak_gflops", isa, 1e9),
        (row["exps"], "exps_per_second", isa, 1),
        (row["bytes"], "read_bytes_per_second", level, 1),
    )
    times = []
    for count, name, of, unit in parts:
        per_second = rate(rates, name, of, threads)
        if count and not per_second:
            return None
        times.append(count / (per_second * unit) if count else 0)
    flop, exps, reading = times
    return max(flop + exps, reading) or None


def derive(rows, machine):
    """Fills each row's figures that follow from others; the rates."""
    rates = rates_of(rows)
    for row in rows:
        seconds = row["seconds"]
        row["gflops"] = row["flop"] * 1e-9 / seconds if row["flop"] else None
        row["bytes_per_second"] = row["bytes"] / seconds if row["bytes"] else None
        peak = rate(rates, "peak_gflops", isa_of(row, rates), row["threads"])
        row["share_of_peak"] = row["gflops"] / peak if peak and row["gflops"] else None
        limit = attainable_seconds(row, rates, machine)
        row["attainable_seconds"] = limit
        row["share_of_attainable"] = limit / seconds if limit else None
    return rates
