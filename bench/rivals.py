"""The other libraries. Each function returns the ways to compute one row with one library, [(how, call, result)]:
call() computes, result() gives the output of the last call as NumPy. The driver checks them all and races the fastest.
Inputs are prepared here, outside of what is timed, in whatever layout the library likes best.
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


# ---- PyTorch ----


def torch_attention(q, k, v, causal):
    import torch
    import torch.nn.functional as F

    for how, q, k, v, causal, shape in formulations(q, k, v, causal):
        tensors = [torch.from_numpy(np.ascontiguousarray(x)) for x in (q, k, v)]
        call = keeping(
            functools.partial(
                F.scaled_dot_product_attention, *tensors, is_causal=causal, enable_gqa=q.shape[1] != k.shape[1]
            )
        )
        yield how, call, functools.partial(lambda call, shape: call.result.numpy().reshape(shape), call, shape)


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
    import numpy_seed

    layer = numpy_seed.MultiHeadSelfAttention(x.shape[2], heads)
    layer.W_q, layer.W_k, layer.W_v = (np.ascontiguousarray(w.T) for w in (w_q, w_k, w_v))
    w_o = np.ascontiguousarray(w_o.T)

    def forward():
        y, weights = layer.forward(x)
        return y @ w_o, weights  # the seed has no output projection

    call = keeping(forward)
    yield "", call, lambda: call.result[0]


# ---- ONNX Runtime ----


def onnx_session(node, inputs, outputs, threads):
    """inputs, outputs: {name: (onnx type, shape)}; sizes of 0 or "" are left open."""
    import onnx
    import onnxruntime
    from onnx import helper

    def values(x):
        return [helper.make_tensor_value_info(name, kind, shape) for name, (kind, shape) in x.items()]

    graph = helper.make_graph([node], "row", values(inputs), values(outputs))
    opsets = [helper.make_opsetid("", 23), helper.make_opsetid("com.microsoft", 1)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=10)
    onnx.checker.check_model(model) if node.domain == "" else None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 4
    # Its threads spin within a call, and then stop: by default they would spin on while others are timed.
    options.add_session_config_entry("session.force_spinning_stop", "1")
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def onnx_call(session, inputs, outputs, shape, layout=None):
    """Inputs and outputs stay in place: no copies within the call. outputs: {name: array}, the first is the result."""
    import onnxruntime

    binding = session.io_binding()
    values = {}
    for name, x in {**inputs, **outputs}.items():
        values[name] = onnxruntime.OrtValue.ortvalue_from_numpy(x)
    for name in inputs:
        binding.bind_ortvalue_input(name, values[name])
    first = next(iter(outputs))
    for name in outputs:
        binding.bind_ortvalue_output(name, values[name])

    def result():
        y = values[first].numpy()
        return layout(y) if layout else y.reshape(shape)

    return functools.partial(alive, values, session.run_with_iobinding, binding), result


def bsh(x):  # [B, H, T, D] -> [B, T, H * D]
    B, H, T, D = x.shape
    return np.ascontiguousarray(x.transpose(0, 2, 1, 3)).reshape(B, T, H * D)


def onnx_attention(q, k, v, causal, threads):
    from onnx import TensorProto, helper

    f32, i32 = TensorProto.FLOAT, TensorProto.INT32

    def floats(arrays):
        return {name: (f32, x.shape) for name, x in arrays.items()}

    for how, q, k, v, causal, shape in formulations(q, k, v, causal):
        B, Hq, Tq, D = q.shape
        Hkv, Tk = k.shape[1:3]

        def heads_first(y, H=Hq, T=Tq, D=D, shape=shape):
            return y.reshape(-1, T, H, D).transpose(0, 2, 1, 3).reshape(shape)

        # ai.onnx Attention, 4-D inputs
        inputs = {"q": q, "k": k, "v": v}
        node = helper.make_node("Attention", list(inputs), ["y"], is_causal=int(causal))
        session = onnx_session(node, floats(inputs), {"y": (f32, q.shape)}, threads)
        yield f"Attention {how}", *onnx_call(session, inputs, {"y": np.empty_like(q)}, shape)

        # com.microsoft MultiHeadAttention
        if Hq == Hkv:
            inputs = {"q": bsh(q), "k": bsh(k), "v": bsh(v)}
            attributes = {"num_heads": Hq, "unidirectional": int(causal)}
            node = helper.make_node("MultiHeadAttention", list(inputs), ["y"], domain="com.microsoft", **attributes)
            output = np.empty_like(inputs["q"])
            session = onnx_session(node, floats(inputs), {"y": (f32, output.shape)}, threads)
            yield f"MultiHeadAttention {how}", *onnx_call(session, inputs, {"y": output}, shape, heads_first)

        # com.microsoft GroupQueryAttention: always causal, appends to a cache. In decoding all but the newest token are
        # in the cache, which past and present share; a prefill writes its keys and values to the cache.
        if how == "" and (causal or Tq == 1) and (Tq == Tk or Tq == 1):
            past = Tk - Tq
            inputs = {"q": bsh(q), "k": bsh(k[:, :, past:]), "v": bsh(v[:, :, past:])}
            cache = {"past_k": k, "past_v": v} if past else {}
            lengths = {"seqlens_k": np.full(B, Tk - 1, np.int32), "total": np.array([Tk], np.int32)}
            names = [*inputs, *(cache or ["", ""]), *lengths]
            node = helper.make_node(
                "GroupQueryAttention",
                names,
                ["y", "present_k", "present_v"],
                domain="com.microsoft",
                num_heads=Hq,
                kv_num_heads=Hkv,
            )
            types = floats(inputs) | floats(cache) | {"seqlens_k": (i32, [B]), "total": (i32, [1])}
            outputs = {"y": np.empty_like(inputs["q"]), "present_k": np.empty_like(k), "present_v": np.empty_like(v)}
            session = onnx_session(node, types, floats(outputs), threads)
            if past:
                y = outputs["y"]
                yield "GroupQueryAttention", *onnx_shared_cache(session, inputs | lengths, cache, y, heads_first)
            else:
                yield "GroupQueryAttention", *onnx_call(session, inputs | lengths, outputs, shape, heads_first)


def onnx_shared_cache(session, inputs, cache, output, layout):
    import onnxruntime

    binding = session.io_binding()
    make = onnxruntime.OrtValue.ortvalue_from_numpy
    values = {name: make(x) for name, x in {**inputs, **cache, "y": output}.items()}
    for name in (*inputs, *cache):
        binding.bind_ortvalue_input(name, values[name])
    for name in cache:
        binding.bind_ortvalue_output(name.replace("past", "present"), values[name])
    binding.bind_ortvalue_output("y", values["y"])
    return functools.partial(alive, values, session.run_with_iobinding, binding), lambda: layout(values["y"].numpy())


def onnx_softmax(x, threads):
    from onnx import TensorProto, helper

    kind = {"x": (TensorProto.FLOAT, x.shape)}, {"y": (TensorProto.FLOAT, x.shape)}
    session = onnx_session(helper.make_node("Softmax", ["x"], ["y"], axis=-1), *kind, threads)
    yield "", *onnx_call(session, {"x": x}, {"y": np.empty_like(x)}, x.shape)


# ---- OpenVINO ----


def openvino_call(inputs, build, threads, shape):
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
            "INFERENCE_PRECISION_HINT": "f32",
            "ENABLE_CPU_PINNING": False,
        },
    )
    request = compiled.create_infer_request()
    for i, x in enumerate(inputs):
        request.set_input_tensor(i, openvino.Tensor(x, shared_memory=True))
    output = np.empty(tuple(compiled.output(0).shape), np.float32)
    request.set_output_tensor(0, openvino.Tensor(output, shared_memory=True))
    return functools.partial(alive, (inputs, output), request.infer, share_outputs=True), lambda: output.reshape(shape)


def openvino_attention(q, k, v, causal, threads):
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

        yield how, *openvino_call([np.ascontiguousarray(x) for x in (q, k, v)], build, threads, shape)


def openvino_softmax(x, threads):
    from openvino import opset13 as ov

    yield "", *openvino_call([x], lambda x: ov.softmax(x, 1), threads, x.shape)
