"""What attn and the other libraries are raced on: the inputs of each row, the right result, and who takes part."""

import math
import pathlib

import attn_calls
import numpy as np
import rivals


def read_rows():
    """rows.txt: {kind: {name: (numbers, the word that follows or None)}}"""
    found = {}
    for line in (pathlib.Path(__file__).parent / "rows.txt").read_text().splitlines():
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        numbers = tuple(int(word) for word in words[2:] if word.isdigit())
        found.setdefault(words[0], {})[words[1]] = numbers, next((w for w in words[2:] if not w.isdigit()), None)
    return found


READ = read_rows()
# batch, query heads, kv heads, query length, key length, head dim, causal
ATTENTION = {name: (*numbers, word == "causal") for name, (numbers, word) in READ["attention"].items()}
SOFTMAX = {"softmax_" + name: numbers for name, (numbers, word) in READ["softmax"].items() if word != "solo"}
# batch, length, embed dim, heads
MULTI_HEAD = {"mha_" + name: numbers for name, (numbers, _) in READ["layer"].items()}
WITH_WEIGHTS = [name + "_weights" for name in MULTI_HEAD]
ROWS = [*ATTENTION, *SOFTMAX, *MULTI_HEAD, *WITH_WEIGHTS]
DECODE = [name for name, shape in ATTENTION.items() if shape[3] == 1]
PREFILL = [name for name in ATTENTION if name not in DECODE and name != "seed64"]


class Row:
    """attn: (call, results, what must stay alive); peers: {name: the ways of rivals.py}; check(result): its error
    relative to the largest value; flop: of one call, or None where it is not the measure"""


def normals(seed, *shape):
    return np.random.default_rng(seed).standard_normal(shape, np.float32)


def softmax64(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def attention_row(name, lib, threads):
    B, Hq, Hkv, Tq, Tk, D, causal = ATTENTION[name]
    q, k, v = normals(1, B, Hq, Tq, D), normals(2, B, Hkv, Tk, D), normals(3, B, Hkv, Tk, D)
    random = np.random.default_rng(4)
    samples = [(random.integers(B), random.integers(Hq), random.integers(Tq)) for _ in range(64)]
    samples += [(0, 0, 0), (B - 1, Hq - 1, Tq - 1)]

    def reference(b, h, t):
        seen = t + 1 if causal else Tk
        keys, values = (x[b, h * Hkv // Hq, :seen].astype(np.float64) for x in (k, v))
        return softmax64(keys @ q[b, h, t].astype(np.float64) / math.sqrt(D)) @ values

    wanted = np.stack([reference(*s) for s in samples])

    row = Row()
    row.flop = 4 * B * Hq * Tq * Tk * D / (2 if causal else 1)
    row.check = lambda y: np.abs(np.stack([y[s] for s in samples]) - wanted).max() / np.abs(v).max()
    row.attn = attn_calls.attention_call(lib, q, k, v, causal)
    row.peers = {
        "torch": rivals.torch_attention(q, k, v, causal),
        "onnxruntime": rivals.onnx_attention(q, k, v, causal, threads),
        "openvino": rivals.openvino_attention(q, k, v, causal, threads),
    }
    return row


def softmax_row(name, lib, threads):
    x = normals(1, *SOFTMAX[name])
    wanted = softmax64(x.astype(np.float64))
    row = Row()
    row.flop = None
    row.check = lambda y: np.abs(y - wanted).max() / wanted.max()
    row.attn = attn_calls.softmax_call(lib, x)
    row.peers = {
        "torch": rivals.torch_softmax(x),
        "onnxruntime": rivals.onnx_softmax(x, threads),
        "openvino": rivals.openvino_softmax(x, threads),
    }
    return row


def multi_head_row(name, lib, _threads):
    need_weights = name.endswith("_weights")
    B, T, E, H = MULTI_HEAD[name.removesuffix("_weights")]
    D = E // H
    x = normals(1, B, T, E)
    w_q, w_k, w_v, w_o = weights = [normals(2 + i, E, E) / np.float32(math.sqrt(E)) for i in range(4)]  # [out, in]

    # The output at some tokens of the last batch item.
    tokens = np.random.default_rng(6).integers(T, size=8)
    tokens[:2] = 0, T - 1
    q, k, v = (
        (y.astype(np.float64) @ w.astype(np.float64).T).reshape(-1, H, D)
        for y, w in ((x[-1, tokens], w_q), (x[-1], w_k), (x[-1], w_v))
    )
    p = softmax64(np.einsum("qhd,khd->hqk", q, k) / math.sqrt(D))
    wanted = np.einsum("hqk,khd->qhd", p, v).reshape(-1, E) @ w_o.astype(np.float64).T

    row = Row()
    row.flop = 8 * B * T * E * E + 4 * B * T * T * E
    row.check = lambda y: np.abs(y[-1, tokens] - wanted).max() / np.abs(wanted).max()
    row.attn = attn_calls.multi_head_call(lib, x, H, *weights, need_weights)
    row.peers = {
        "torch": rivals.torch_multi_head(x, H, *weights, need_weights),
        "numpy": rivals.numpy_multi_head(x, H, *weights, need_weights),
    }
    return row


def make_row(name, lib, threads):
    make = attention_row if name in ATTENTION else softmax_row if name in SOFTMAX else multi_head_row
    return make(name, lib, threads)
