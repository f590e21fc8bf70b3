"""The shape of a call of attention, from words: a line of rows.txt, or the value of --shape."""

import re
from typing import NamedTuple

WORDS = "B,Hq,Hkv,Tq,Tk,D[,causal][,f16|bf16|i8|q8_0][,bf16_queries][,bf16_weights]"
CACHES = ("f16", "bf16", "i8", "q8_0")
NUMBERS = ("batch", "query heads", "KV heads", "queries", "keys", "head_dim")
MOST, MOST_ELEMENTS = 1 << 20, 1 << 30  # of one number; of one tensor


class Shape(NamedTuple):
    batch: int
    query_heads: int
    kv_heads: int
    queries: int
    keys: int
    head_dim: int
    causal: bool = False
    cache: str = "f32"  # the type of keys and values
    query: str = "f32"  # or bf16; the output is f32
    bf16_weights: bool = False

    def fields(self):
        """As results have it: without what files from before these words do not have, unless it is set."""
        since = {"query": "f32", "bf16_weights": False}
        return {name: value for name, value in self._asdict().items() if (name, value) not in since.items()}

    def flop(self):  # two products; causal needs half of each
        B, Hq, _, Tq, Tk, D, causal, *_ = self
        return 4 * B * Hq * Tq * Tk * D / (2 if causal else 1)

    def bytes(self):  # each tensor once
        B, Hq, Hkv, Tq, Tk, D, _, cache, query, _ = self
        row = {"f32": 4 * D, "f16": 2 * D, "bf16": 2 * D, "i8": D + 4, "q8_0": D / 32 * 34}[cache]
        return B * (2 * Hkv * Tk * row + (4 + (2 if query == "bf16" else 4)) * Hq * Tq * D)


def shape_of_words(words):
    """Raises a ValueError that says what is wrong."""
    sizes = []
    for name, word in zip(NUMBERS, [*words, *[None] * len(NUMBERS)]):
        if word is None:
            raise ValueError(f"{name} is missing")
        if not re.fullmatch("[0-9]{1,9}", word) or not 1 <= int(word) <= MOST:
            raise ValueError(f'{name} is "{word}", not a number from 1 to {MOST}')
        sizes.append(int(word))
    shape = Shape(*sizes)
    for word in words[len(NUMBERS) :]:
        if word == "causal" and not shape.causal:
            shape = shape._replace(causal=True)
        elif word in CACHES and shape.cache == "f32":
            shape = shape._replace(cache=word)
        elif word == "bf16_queries" and shape.query == "f32":
            shape = shape._replace(query="bf16")
        elif word == "bf16_weights" and not shape.bf16_weights:
            shape = shape._replace(bf16_weights=True)
        else:
            raise ValueError(f'"{word}" is no word of a shape, or stands there twice')
    check(shape)
    return shape


def check(shape):
    B, Hq, Hkv, Tq, Tk, D, causal, cache, _, bf16_weights = shape
    if Hq % Hkv:
        raise ValueError(f"query heads must be a multiple of KV heads, not {Hq} and {Hkv}")
    if causal and Tq != Tk:  # with others, systems differ in what causal means
        raise ValueError(f"causal needs as many queries as keys, not {Tq} and {Tk}")
    if bf16_weights and cache != "bf16":
        raise ValueError("bf16_weights needs a cache of bf16")
    if cache == "q8_0" and D % 32:
        raise ValueError(f"q8_0 needs a head_dim that is a multiple of 32, not {D}")
    if max(B * Hq * Tq * D, B * Hkv * Tk * D, B * Hq * Tk) > MOST_ELEMENTS:
        raise ValueError("a tensor would have more than 2^30 elements")


def shape_of_text(text):
    return shape_of_words(text.split(","))
