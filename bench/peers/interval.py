"""The ratio of two contenders' times, and what is known of it."""

import statistics

import numpy as np
from scipy.stats import bootstrap

LEAST_ROUNDS = 6  # of five, even the least and the most hold the median in only 94 % of cases
RESAMPLES = 1000


def ratio(times, ours):
    """times, ours: of each round in order -> the ratio of medians, of the rounds that both ran, and the interval
    [low, high] that holds it with 95 %, or None if they are too few. Rounds are drawn as pairs: what slowed both down in
    one is no noise of the ratio."""
    rounds = min(len(times), len(ours))
    times, ours = times[:rounds], ours[:rounds]
    found = statistics.median(times) / statistics.median(ours)
    if rounds < LEAST_ROUNDS:
        return found, None

    def of_medians(a, b, axis):
        return np.median(a, axis=axis) / np.median(b, axis=axis)

    drawn = bootstrap(
        (times, ours),
        of_medians,
        paired=True,
        vectorized=True,
        n_resamples=RESAMPLES,
        confidence_level=0.95,
        method="percentile",
        random_state=np.random.default_rng(1),  # the same times, the same interval
    ).confidence_interval
    return found, [min(float(drawn.low), found), max(float(drawn.high), found)]


def plus_minus(interval):
    """Half the width, as a column of seven."""
    return f" ±{(interval[1] - interval[0]) / 2:5.2f}" if interval else " " * 7
