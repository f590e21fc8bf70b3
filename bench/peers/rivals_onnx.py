"""ONNX Runtime's ways to compute a row: as rivals.py, with its operators Attention, MultiHeadAttention and
GroupQueryAttention.
"""

import functools

import numpy as np

from .rivals import alive, formulations


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

    i32, kinds = TensorProto.INT32, {np.float32: TensorProto.FLOAT, np.float16: TensorProto.FLOAT16}

    def floats(arrays):
        return {name: (kinds[x.dtype.type], x.shape) for name, x in arrays.items()}

    for how, q, k, v, causal, shape in formulations(q, k, v, causal):
        B, Hq, Tq, D = q.shape
        Hkv, Tk = k.shape[1:3]

        def heads_first(y, H=Hq, T=Tq, D=D, shape=shape):
            return y.reshape(-1, T, H, D).transpose(0, 2, 1, 3).reshape(shape)

        # ai.onnx Attention, 4-D inputs
        inputs = {"q": q, "k": k, "v": v}
        node = helper.make_node("Attention", list(inputs), ["y"], is_causal=int(causal))
        session = onnx_session(node, floats(inputs), floats({"y": q}), threads)
        yield f"Attention {how}", *onnx_call(session, inputs, {"y": np.empty_like(q)}, shape)

        # com.microsoft MultiHeadAttention
        if Hq == Hkv:
            inputs = {"q": bsh(q), "k": bsh(k), "v": bsh(v)}
            attributes = {"num_heads": Hq, "unidirectional": int(causal)}
            node = helper.make_node("MultiHeadAttention", list(inputs), ["y"], domain="com.microsoft", **attributes)
            output = np.empty_like(inputs["q"])
            session = onnx_session(node, floats(inputs), floats({"y": output}), threads)
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
