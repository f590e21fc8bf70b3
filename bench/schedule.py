"""Which benchmarks run together, how often, and in which order."""

from typing import NamedTuple

TOGETHER = 12  # benchmarks of a process: about half a second, so that what alternates stands close together
FEWEST, USUAL = 3, 6  # rounds; six samples are the fewest that a median has a 95 % interval from


class Chunk(NamedTuple):
    names: tuple  # plain ones
    flags: tuple
    thin: bool  # takes fewer rounds than others before any other does


def chunks_of(names, flags):
    """Neighbours stay together, as they share problems and references; the grid stands alone."""
    chunks = []
    for name in names:
        thin = name.startswith("grid/")
        if chunks and chunks[-1][1] == thin and len(chunks[-1][0]) < TOGETHER:
            chunks[-1][0].append(name)
        else:
            chunks.append(([name], thin))
    return [Chunk(tuple(together), tuple(flags), thin) for together, thin in chunks]


def rounds_of(chunks, costs, seconds, most):
    """How many rounds each chunk takes part in, for seconds in all; costs: seconds of one round of each. Where not even
    USUAL rounds fit, the grid takes FEWEST, then the dearest others; what time is left goes to the
    cheapest, up to `most` rounds."""
    rounds = [USUAL] * len(chunks)
    order = sorted(range(len(chunks)), key=lambda i: (not chunks[i].thin, -costs[i]))
    left = seconds - USUAL * sum(costs)
    for i in order:
        if left < 0 and (chunks[i].thin or costs[i] > 0):
            rounds[i] = FEWEST
            left += (USUAL - FEWEST) * costs[i]
    for limit in range(FEWEST, most):
        for i in reversed(order):
            if rounds[i] == limit and costs[i] <= left:
                rounds[i] += 1
                left -= costs[i]
    return rounds


def takes_part(index, count, rounds):
    """Spreads `count` turns evenly over the rounds."""
    return (index + 1) * count // rounds > index * count // rounds


def order_of(chunks, rounds):
    """Yields (index of the chunk, is this its second, fourth ... turn): each second round backwards, so that no chunk is
    always late."""
    most = max(rounds)
    turns = [0] * len(chunks)
    for index in range(most):
        for i in range(len(chunks)) if index % 2 == 0 else reversed(range(len(chunks))):
            if takes_part(index, rounds[i], most):
                yield i, turns[i] % 2 == 1
                turns[i] += 1
