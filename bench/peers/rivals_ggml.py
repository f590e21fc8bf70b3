"""ggml's ways to compute a row: as rivals.py, with its operator for attention, and with its products and softmax, which
llama.cpp takes where that operator is off. Queries are f32; keys and values f32, f16 or bf16, as in its caches.
"""

import ctypes as c
import functools
import importlib.metadata
import importlib.util

import numpy as np

from .rivals import alive, formulations


def version():
    return importlib.metadata.version("ggml-python") if importlib.util.find_spec("ggml") else "-"


def ggml_attention(q, k, v, causal, threads):
    for how, q, k, v, causal, shape in formulations(q, k, v, causal):
        for operator, build in (("flash", flash), ("products", products)):
            call, output = graph_of(build, q, k, v, causal, threads)
            yield f"{operator} {how}", call, functools.partial(result, output, operator, shape)


def result(output, operator, shape):
    return (output.transpose(0, 2, 1, 3) if operator == "flash" else output).reshape(shape)


class Tensors:
    """A context without memory of its own: NumPy has it all."""

    def __init__(self):
        import ggml

        self.ggml, self.arrays = ggml, []
        self.types = {np.float32: ggml.GGML_TYPE_F32, np.float16: ggml.GGML_TYPE_F16, np.uint16: ggml.GGML_TYPE_BF16}
        room = 16 * ggml.ggml_tensor_overhead() + ggml.ggml_graph_overhead()
        self.context = ggml.ggml_init(ggml.ggml_init_params(mem_size=room, mem_buffer=None, no_alloc=True))

    def on(self, tensor, array):
        self.arrays.append(array)
        tensor.contents.data = array.ctypes.data
        return tensor

    def of(self, array):
        """A tensor of an array of four dimensions; ggml names the innermost first."""
        array = np.ascontiguousarray(array)
        made = self.ggml.ggml_new_tensor_4d(self.context, self.types[array.dtype.type], *reversed(array.shape))
        return self.on(made, array)

    def mask(self, queries, keys, causal):
        return self.of(np.triu(np.full((1, 1, queries, keys), -np.inf, np.float16), 1)) if causal else None


def flash(t, q, k, v, causal):
    """[B, Tq, Hq, D]"""
    B, Hq, Tq, D = q.shape
    mask = t.mask(Tq, k.shape[2], causal)
    y = t.ggml.ggml_flash_attn_ext(t.context, t.of(q), t.of(k), t.of(v), mask, D**-0.5, 0.0, 0.0)
    output = np.empty((B, Tq, Hq, D), np.float32)
    return t.on(y, output), output


def products(t, q, k, v, causal):
    """[B, Hq, Tq, D]"""
    B, Hq, Tq, D = q.shape
    Tk = k.shape[2]
    scores = t.on(t.ggml.ggml_mul_mat(t.context, t.of(k), t.of(q)), np.empty((B, Hq, Tq, Tk), np.float32))
    weights = t.ggml.ggml_soft_max_ext_inplace(t.context, scores, t.mask(Tq, Tk, causal), D**-0.5, 0.0)
    output = np.empty_like(q)
    return t.on(t.ggml.ggml_mul_mat(t.context, t.of(v.swapaxes(2, 3)), weights), output), output


def graph_of(build, q, k, v, causal, threads):
    t = Tensors()
    ggml = t.ggml
    y, output = build(t, q, k, v, causal)
    graph = ggml.ggml_new_graph(t.context)
    ggml.ggml_build_forward_expand(graph, y)
    pool = ggml.ggml_threadpool_new(c.byref(ggml.ggml_threadpool_params_default(threads)))
    plan = ggml.ggml_graph_plan(graph, threads, pool)
    work = np.empty(max(1, plan.work_size), np.uint8)
    plan.work_data = work.ctypes.data_as(c.POINTER(c.c_uint8))

    def call():
        if ggml.ggml_graph_compute(graph, c.byref(plan)):
            raise RuntimeError("ggml refused the call")

    return functools.partial(alive, (t, work), call), output
