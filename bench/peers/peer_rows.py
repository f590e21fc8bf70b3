"""What attn and the other libraries are raced on: the inputs of each row, the right result, and who takes part."""

import math

import numpy as np

from ..grid import shape_of_cell
from ..rows import read_rows
from ..shapes import shape_of_text, shape_of_words
from . import attn_calls, plain_loops, rivals, rivals_ggml, rivals_onednn, rivals_onnx

def names_of(read):
    """Of all rows: those of attention as rows.txt has them, others with their kind; layers with weights and without."""
    layers = ["mha_" + name for name in read["layer"]]
    softmax = [f"softmax_{name}" for name, words in read["softmax"].items() if "solo" not in words]
    return [*read["attention"], *softmax, *layers, *(name + "_weights" for name in layers)]


READ = read_rows()
ATTENTION = {name: shape_of_words(words) for name, words in READ["attention"].items()}
SOFTMAX = {f"softmax_{name}": tuple(map(int, w[:2])) for name, w in READ["softmax"].items() if "solo" not in w}
# batch, length, embed dim, heads
MULTI_HEAD = {"mha_" + name: tuple(map(int, words)) for name, words in READ["layer"].items()}
WITH_WEIGHTS = [name + "_weights" for name in MULTI_HEAD]
ROWS = names_of(READ)
LONG_ROWS = set(ROWS) - set(names_of(read_rows(long=False)))


def group_of(name):
    """What stands before the slash; the rows without one are "nine", and others have no group."""
    return name.split("/")[0] if "/" in name else "nine" if name in ATTENTION else None


def shape_of(name):
    """Of a row of attention, of a cell of the grid, or of a shape as --shape takes it."""
    return ATTENTION.get(name) or shape_of_cell(name) or shape_of_text(name)


class Row:
    """attn: (call, results, what must stay alive); peers: {name: [ways of rivals.py]}; check(result): its error
    relative to the largest value; flop: of one call, or None where it is not the measure; shape: of attention"""

    shape = None


def normals(seed, *shape):
    return np.random.default_rng(seed).standard_normal(shape, np.float32)


def softmax64(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def bf16_bits(x):  # to nearest, ties to even
    bits = x.view(np.uint32)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16)


def stored(x, kind):
    """x in a cache of that type (bf16 as bits, i8 with scales), and what it then holds as float32."""
    if kind == "f32":
        return x, x
    if kind == "f16":
        half = x.astype(np.float16)
        return half, half.astype(np.float32)
    if kind == "i8":
        scales = np.abs(x).max(-1) / np.float32(127)
        integers = np.rint(x / scales[..., None]).astype(np.int8)
        return (integers, scales), integers * scales[..., None]
    if kind == "q8_0":
        groups = x.reshape(*x.shape[:-1], -1, 32)
        blocks = np.empty(groups.shape[:-1], attn_calls.BLOCK)
        blocks["scale"] = np.abs(groups).max(-1) / np.float32(127)
        scales = blocks["scale"].astype(np.float32)[..., None]
        blocks["values"] = np.clip(np.rint(groups / scales), -127, 127)
        return blocks, (blocks["values"] * scales).reshape(x.shape)
    half = bf16_bits(x)
    return half, (half.astype(np.uint32) << 16).view(np.float32)


def attention_row(name, lib, threads, loops):
    shape = shape_of(name)
    B, Hq, Hkv, Tq, Tk, D, causal, kind, query_kind, bf16_weights = shape
    q_stored, q = stored(normals(1, B, Hq, Tq, D), query_kind)
    k_stored, k = stored(normals(2, B, Hkv, Tk, D), kind)
    v_stored, v = stored(normals(3, B, Hkv, Tk, D), kind)
    random = np.random.default_rng(4)
    samples = [(random.integers(B), random.integers(Hq), random.integers(Tq)) for _ in range(64)]
    samples += [(0, 0, 0), (B - 1, Hq - 1, Tq - 1)]

    def reference(b, h, t):
        seen = t + 1 if causal else Tk
        keys, values = (x[b, h * Hkv // Hq, :seen].astype(np.float64) for x in (k, v))
        return softmax64(keys @ q[b, h, t].astype(np.float64) / math.sqrt(D)) @ values

    wanted = np.stack([reference(*s) for s in samples])

    row = Row()
    row.shape, row.flop = shape, shape.flop()
    row.check = lambda y: np.abs(np.stack([y[s] for s in samples]) - wanted).max() / np.abs(v).max()
    row.attn = attn_calls.attention_call(lib, q_stored, k_stored, v_stored, causal, (query_kind, kind), bf16_weights)
    row.peers = {
        "torch": [rivals.torch_attention(q, k, v, causal)],
        "onnxruntime": [rivals_onnx.onnx_attention(q, k, v, causal, threads)],
        "openvino": [rivals.openvino_attention(q, k, v, causal, threads)],
        "onednn": [rivals_onednn.onednn_attention(q, k, v, causal)],
        "ggml": [rivals_ggml.ggml_attention(q, k, v, causal, threads)],
        "loops": [plain_loops.ways(loops, shape, q, k, v)],
    }
    if kind in ("f16", "bf16"):
        add_ways_in_halves(row.peers, kind, stored(q, kind)[0], k_stored, v_stored, causal, threads)
        if kind == "bf16":  # from f32 and to f32: it rounds on its way
            row.peers["openvino"].append(rivals.named(kind, rivals.openvino_attention(q, k, v, causal, threads, kind)))
        row.peers["ggml"].append(rivals.named(kind, rivals_ggml.ggml_attention(q, k_stored, v_stored, causal, threads)))
    if kind == "bf16":
        row.peers["loops"] = [plain_loops.ways(loops, shape, q, k_stored, v_stored)]
    return row


def add_ways_in_halves(peers, kind, q, k, v, causal, threads):
    """Beside the ways in f32: of those that compute in the type of the cache, queries and output too."""
    for name, ways in peers.items():
        peers[name] = [rivals.named("f32", way) for way in ways]
    peers["torch"].append(rivals.named(kind, rivals.torch_attention(q, k, v, causal)))
    if kind == "f16":  # ONNX Runtime has no bf16 on CPUs
        peers["onnxruntime"].append(rivals.named(kind, rivals_onnx.onnx_attention(q, k, v, causal, threads)))


def softmax_row(name, lib, threads, _loops):
    x = normals(1, *SOFTMAX[name])
    wanted = softmax64(x.astype(np.float64))
    row = Row()
    row.flop = None
    row.check = lambda y: np.abs(y - wanted).max() / wanted.max()
    row.attn = attn_calls.softmax_call(lib, x)
    row.peers = {
        "torch": [rivals.torch_softmax(x)],
        "onnxruntime": [rivals_onnx.onnx_softmax(x, threads)],
        "openvino": [rivals.openvino_softmax(x, threads)],
    }
    return row


def multi_head_row(name, lib, _threads, _loops):
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
        "torch": [rivals.torch_multi_head(x, H, *weights, need_weights)],
        "numpy": [rivals.numpy_multi_head(x, H, *weights, need_weights)],
    }
    return row


def make_row(name, lib, threads, loops):
    """loops: the path of the plain loops, or None."""
    make = softmax_row if name in SOFTMAX else multi_head_row if name.startswith("mha_") else attention_row
    return make(name, lib, threads, loops)
