"""Puts what the rounds gave into a results file (results.schema.json)."""

import statistics

from scipy import stats

from bench import names, rates, results
from bench.shapes import shape_of_text

COUNTERS = ("flop", "bytes", "exps")


def interval(samples):
    """Of the median, at least 95 %: the samples between which it lies unless too few tosses of a coin show heads. None of
    fewer than six."""
    rank = int(stats.binom.ppf(0.025, len(samples), 0.5))
    ordered = sorted(samples)
    return [ordered[rank - 1], ordered[-rank]] if rank > 0 else None


def row_of(name, samples, error):
    row = names.parse(name)
    row["shape"] = shape_of_text(samples[0].shape).fields() if samples[0].shape else None
    times = [sample.seconds for sample in samples]
    counters = [sample.counters for sample in samples]
    row.update(seconds=statistics.median(times), interval=interval(times), samples=times)
    row.update({counter: counters[-1].get(counter) or None for counter in COUNTERS})
    row["error"] = error
    plain = [found["plain_seconds"] for found in counters if "plain_seconds" in found]
    row["plain_seconds"] = statistics.median(plain) if plain else None
    return row


def file_of(run, others, chosen, about, options):
    """about: date, machine, load, rounds and seconds, which all runs share."""
    said = run.context.get
    rows = [row_of(name, run.samples[name], run.errors.get(name)) for name in chosen if name in run.samples]
    rates_here = rates.derive(rows, about["machine"])
    return {
        "schema": results.SCHEMA["title"],
        "attn": {"version": said("attn_version") or "unknown", **run.program.source()},
        "date": about["date"],
        "machine": about["machine"],
        "build": {
            "compiler": said("compiler") or "unknown",
            "build_type": said("build_type") or "unknown",
            "blas": said("blas") or None,
            "blas_core": said("blas_core") or None,
            "blas_threads": int(said("blas_threads") or 0) or None,
            "benchmark_library": said("benchmark_library") or None,
        },
        "load": about["load"],
        "run": {
            "id": run.id,
            "paired_with": [other.id for other in others if other is not run],
            "rounds": about["rounds"],
            "seconds": about["seconds"],
            "sample_seconds": options.sample_seconds,
            "threads": sorted({row["threads"] for row in rows}),
            "filter": options.filter.pattern if options.filter else None,
            "long": options.long,
            "shapes": options.shape,
        },
        "rates": rates_here,
        "rows": rows,
    }
