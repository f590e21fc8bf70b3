"""oneDNN's ways to compute a row: as rivals.py, with the pattern of scaled dot-product attention of its graph
interface, which it compiles to one call. f32. install.py brings the library.
"""

import numpy as np

from .install import ONEDNN_LIBRARY
from .onednn_graph import Graph, library
from .rivals import formulations

BELOW = np.float32(-1e30)  # a score so low that its weight is 0


def version():
    return library(ONEDNN_LIBRARY).version() if ONEDNN_LIBRARY.exists() else "-"


def onednn_attention(q, k, v, causal):
    for how, q, k, v, causal, shape in formulations(q, k, v, causal):
        call, output = sdpa(q, k, v, causal)
        yield how, call, lambda output=output, shape=shape: output.reshape(shape)


def sdpa(q, k, v, causal):
    """softmax(q k^T / sqrt(D) [+ mask]) v. Grouped heads have an axis of their own, over which k and v are broadcast."""
    graph = Graph(ONEDNN_LIBRARY)
    B, Hq, Tq, D = q.shape
    Hkv, Tk = k.shape[1:3]
    if Hq == Hkv:
        heads, kv_heads = (B, Hq), (B, Hkv)
    else:
        heads, kv_heads = (B, Hkv, Hq // Hkv), (B, Hkv, 1)
    query, key, value = graph.tensor((*heads, Tq, D)), graph.tensor((*kv_heads, Tk, D)), graph.tensor((*kv_heads, Tk, D))
    scale = graph.tensor((1,))
    products, scores, weights = (graph.tensor((*heads, Tq, Tk)) for _ in range(3))
    result = graph.tensor((*heads, Tq, D))
    output = np.empty((*heads, Tq, D), np.float32)
    inputs = {query: q, key: k, scale: np.array([D**0.5], np.float32)}

    graph.op("matmul", [query, key], products, transpose_b=True)
    graph.op("divide", [products, scale], scores)
    if causal:
        added, masked = graph.tensor((*(1 for _ in heads), Tq, Tk)), graph.tensor((*heads, Tq, Tk))
        graph.op("add", [scores, added], masked)
        inputs[added] = np.triu(np.full((Tq, Tk), BELOW), 1)
        scores = masked
    graph.op("softmax", [scores], weights, axis=-1)
    graph.op("matmul", [weights, value], result)
    inputs[value] = v
    inputs = {i: np.ascontiguousarray(x) for i, x in inputs.items()}
    return graph.compile(inputs, result, output), output
