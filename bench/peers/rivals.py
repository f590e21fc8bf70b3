"""The other libraries. Each function returns the ways to compute one row with one library, [(how, call, result)]:
call() computes, result() gives the output of the last call as NumPy. The driver checks them all and races the fastest.
Inputs are prepared here, outside of what is timed, in whatever layout the library likes best. Those of ONNX Runtime
stand in rivals_onnx.py, plain loops in plain_loops.py.
"""

import functools

import numpy as np

# ---- One problem, several formulations ----


def formulations(q, k, v, causal):
    """The same attention as [(how, q, k, v, causal, shape of output)], for libraries that serve grouped heads badly."""
    B, Hq, Tq, D = q.shape
    Hkv, group = k.shape[1], q.shape[1] // k.shape[1]
    yield "", q, k, v, causal, q.shape
    if group > 1:
        # Keys and values copied for every query head, as users without grouped-query support keep their caches.
        yield "expanded", q, np.repeat(k, group, 1), np.repeat(v, group, 1), causal, q.shape
    if group > 1 and Tq == 1 and not causal:
        # One query row: the heads of a group are the rows of one problem, a view that reads K and V once.
        yield "grouped", q.reshape(B, Hkv, group, D), k, v, causal, q.shape


def named(prefix, ways):
    for how, call, result in ways:
        yield f"{prefix} {how}".strip(), call, result


# ---- PyTorch ----


def torch_attention(q, k, v, causal):
    import torch
    import torch.nn.functional as F

    for how, q, k, v, causal, shape in formulations(q, k, v, causal):
        tensors = [torch.from_numpy(np.ascontiguousarray(x)) for x in (q, k, v)]
        if q.dtype == np.uint16:  # the bits of bf16, which NumPy does not have
            tensors = [x.view(torch.bfloat16) for x in tensors]
        call = keeping(
            functools.partial(
                F.scaled_dot_product_attention, *tensors, is_causal=causal, enable_gqa=q.shape[1] != k.shape[1]
            )
        )
        yield how, call, functools.partial(lambda c, shape: c.result.float().numpy().reshape(shape), call, shape)


def torch_softmax(x):
    import torch

    call = keeping(functools.partial(torch.softmax, torch.from_numpy(x), -1))
    yield "", call, lambda: call.result.numpy()


def torch_multi_head(x, heads, w_q, w_k, w_v, w_o, need_weights):
    import torch
    import torch.nn.functional as F

    B, T, E = x.shape
    x = torch.from_numpy(x)
    w_qkv, w_o = torch.from_numpy(np.concatenate([w_q, w_k, w_v])), torch.from_numpy(w_o)
    if need_weights:
        for bias in (True, False):  # without biases the fused path is off; with biases of zero it computes the same
            layer = torch.nn.MultiheadAttention(E, heads, bias=bias, batch_first=True).eval()
            layer.in_proj_weight.data, layer.out_proj.weight.data = w_qkv, w_o
            call = keeping(functools.partial(layer, x, x, x, need_weights=True, average_attn_weights=False))
            yield "zero bias" if bias else "", call, functools.partial(lambda call: call.result[0].numpy(), call)
        return

    def forward():
        q, k, v = F.linear(x, w_qkv).view(B, T, 3, heads, E // heads).permute(2, 0, 3, 1, 4)
        y = F.scaled_dot_product_attention(q, k, v)
        return F.linear(y.transpose(1, 2).reshape(B, T, E), w_o)

    call = keeping(forward)
    yield "", call, lambda: call.result.numpy()


class keeping:  # a call that keeps its last result
    def __init__(self, function):
        self.function = function

    def __call__(self):
        self.result = self.function()


def alive(_memory, function, *args, **named):  # keeps the memory that the library only borrows
    return function(*args, **named)


# ---- NumPy: the project's seed ----


def numpy_multi_head(x, heads, w_q, w_k, w_v, w_o, need_weights):
    if not need_weights:
        return
    from . import numpy_seed

    layer = numpy_seed.MultiHeadSelfAttention(x.shape[2], heads)
    layer.W_q, layer.W_k, layer.W_v = (np.ascontiguousarray(w.T) for w in (w_q, w_k, w_v))
    w_o = np.ascontiguousarray(w_o.T)

    def forward():
        y, weights = layer.forward(x)
        return y @ w_o, weights  # the seed has no output projection

    call = keeping(forward)
    yield "", call, lambda: call.result[0]


# ---- OpenVINO ----


def openvino_call(inputs, build, threads, shape, precision="f32"):
    """build(parameters) -> the output node. Input and output memory is shared with NumPy."""
    import openvino

    parameters = [openvino.opset13.parameter(x.shape, np.float32) for x in inputs]
    model = openvino.Model([build(*parameters)], parameters)
    compiled = openvino.Core().compile_model(
        model,
        "CPU",
        {
            "INFERENCE_NUM_THREADS": threads,
            "NUM_STREAMS": 1,
            "INFERENCE_PRECISION_HINT": precision,
            "ENABLE_CPU_PINNING": False,
        },
    )
    request = compiled.create_infer_request()
    for i, x in enumerate(inputs):
        request.set_input_tensor(i, openvino.Tensor(x, shared_memory=True))
    output = np.empty(tuple(compiled.output(0).shape), np.float32)
    request.set_output_tensor(0, openvino.Tensor(output, shared_memory=True))
    return functools.partial(alive, (inputs, output), request.infer, share_outputs=True), lambda: output.reshape(shape)


def openvino_attention(q, k, v, causal, threads, precision="f32"):
    from openvino import opset13 as ov

    for how, q, k, v, causal, shape in formulations(q, k, v, causal):
        group = q.shape[1] // k.shape[1]

        def expanded(x):  # [B, Hkv, T, D] -> [B, Hq, T, D] within the model; its CPU plug-in fuses this pattern
            if group == 1:
                return x
            B, H, T, D = x.shape
            five = ov.broadcast(ov.unsqueeze(x, np.int64(2)), np.array([B, H, group, T, D], np.int64))
            return ov.reshape(five, np.array([B, H * group, T, D], np.int64), False)

        def build(q, k, v):
            return ov.scaled_dot_product_attention(q, expanded(k), expanded(v), causal=causal)

        yield how, *openvino_call([np.ascontiguousarray(x) for x in (q, k, v)], build, threads, shape, precision)


def openvino_softmax(x, threads):
    from openvino import opset13 as ov

    yield "", *openvino_call([x], lambda x: ov.softmax(x, 1), threads, x.shape)
