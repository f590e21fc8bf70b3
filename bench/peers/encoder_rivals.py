"""Ways of PyTorch, ONNX Runtime and OpenVINO to compute the embeddings of a row: how, call and result each."""

import contextlib
import functools
import io
import logging
import tempfile

import numpy as np

from .encoder_model import EPSILON, HEADS, padded
from .rivals import alive
from .rivals_onnx import onnx_call


def batches(tokens):
    """How, and calls as padded arrays of tokens and lengths: all in one, or each sequence on its own, without padding."""
    yield "", [padded(tokens)]
    if len({len(t) for t in tokens}) > 1:
        yield "one by one", [padded([t]) for t in tokens]


def has_padding(tokens, lengths):
    return bool((lengths < tokens.shape[1]).any())


# ---- PyTorch ----


def torch_way(model, tokens, threads):
    import torch
    import torch.nn.functional as F

    w = {name: torch.from_numpy(x.copy()) for name, x in model.w.items()}

    def linear(x, name):
        return F.linear(x, w[f"{name}.weight"], w[f"{name}.bias"])

    def layer_norm(x, name):
        return F.layer_norm(x, (model.width,), w[f"{name}.weight"], w[f"{name}.bias"], EPSILON)

    qkv = [
        tuple(torch.cat([w[f"encoder.layer.{i}.attention.self.{n}.{p}"] for n in ("query", "key", "value")]) for p in ("weight", "bias"))
        for i in range(model.layers)
    ]

    def embed(ids, mask):
        B, T = ids.shape
        x = F.embedding(ids, w["embeddings.word_embeddings.weight"]) + w["embeddings.position_embeddings.weight"][:T]
        x = layer_norm(x + w["embeddings.token_type_embeddings.weight"][0], "embeddings.LayerNorm")
        for i in range(model.layers):
            layer = f"encoder.layer.{i}"
            q, k, v = F.linear(x, *qkv[i]).view(B, T, 3, HEADS, -1).permute(2, 0, 3, 1, 4).unbind(0)
            a = F.scaled_dot_product_attention(q, k, v, None if mask is None else mask[:, None, None, :])
            a = linear(a.transpose(1, 2).reshape(B, T, -1), f"{layer}.attention.output.dense")
            x = layer_norm(a + x, f"{layer}.attention.output.LayerNorm")
            h = F.gelu(linear(x, f"{layer}.intermediate.dense"))
            x = layer_norm(linear(h, f"{layer}.output.dense") + x, f"{layer}.output.LayerNorm")
        total = x.sum(1) if mask is None else (x * mask[:, :, None]).sum(1)
        return F.normalize(total)

    for how, calls in batches(tokens):
        inputs = []
        for ids, lengths in calls:
            mask = torch.arange(ids.shape[1]) < torch.from_numpy(lengths)[:, None]
            inputs.append((torch.from_numpy(ids), mask if has_padding(ids, lengths) else None))
        outputs = [None] * len(inputs)

        def call(inputs=inputs, outputs=outputs):
            for i, (ids, mask) in enumerate(inputs):
                outputs[i] = embed(ids, mask)

        yield how, call, lambda outputs=outputs: torch.cat(outputs).numpy()


# ---- An ONNX graph ----

INPUTS = ("tokens", "places", "types")


class Graph:
    """Nodes of standard operators, in the order that exporters of BERT write and that the fusions look for."""

    def __init__(self):
        self.nodes, self.weights, self.count = [], {}, 0

    def __call__(self, kind, *inputs, **attributes):
        from onnx import helper

        self.count += 1
        output = f"{kind}_{self.count}"
        names = [x if isinstance(x, str) else self.constant(x) for x in inputs]
        self.nodes.append(helper.make_node(kind, names, [output], output, **attributes))
        return output

    def constant(self, x, name=None):
        name = name or f"constant_{len(self.weights)}"
        self.weights[name] = x if isinstance(x, np.ndarray) else np.array(x, np.int64)
        return name

    def linear(self, x, name, model):
        w, b = model.linear(name)
        product = self("MatMul", x, self.constant(w, f"{name}.weight"))
        return self("Add", product, self.constant(b, f"{name}.bias"))

    def norm(self, x, name, model):
        gain, shift = (self.constant(v, f"{name}.{n}") for v, n in zip(model.norm(name), ("weight", "bias")))
        return self("LayerNormalization", x, gain, shift, axis=-1, epsilon=EPSILON)


def onnx_model(model, with_mask):
    """INPUTS, and a mask, int64 [B, T] each -> embeddings [B, width]; B and T are open."""
    from onnx import TensorProto, helper, numpy_helper

    g, dim = Graph(), model.width // HEADS
    f32 = functools.partial(np.array, dtype=np.float32)
    words, places, types = (
        g("Gather", g.constant(model.w[f"embeddings.{table}_embeddings.weight"], table), ids)
        for table, ids in (("word", "tokens"), ("position", "places"), ("token_type", "types"))
    )
    x = g.norm(g("Add", g("Add", words, types), places), "embeddings.LayerNorm", model)
    if with_mask:
        real = g("Cast", "mask", to=TensorProto.FLOAT)
        excluded = g("Cast", g("Unsqueeze", g("Unsqueeze", "mask", [1]), [2]), to=TensorProto.FLOAT)
        excluded = g("Mul", g("Sub", f32(1.0), excluded), f32(-10000.0))

    def heads(x, perm):
        return g("Transpose", g("Reshape", x, [0, 0, HEADS, dim]), perm=perm)

    for i in range(model.layers):
        layer = f"encoder.layer.{i}"
        q, k, v = (g.linear(x, f"{layer}.attention.self.{n}", model) for n in ("query", "key", "value"))
        s = g("Div", g("MatMul", heads(q, [0, 2, 1, 3]), heads(k, [0, 2, 3, 1])), f32(np.sqrt(dim)))
        p = g("Softmax", g("Add", s, excluded) if with_mask else s, axis=-1)
        a = g("Transpose", g("MatMul", p, heads(v, [0, 2, 1, 3])), perm=[0, 2, 1, 3])
        a = g.linear(g("Reshape", a, [0, 0, model.width]), f"{layer}.attention.output.dense", model)
        x = g.norm(g("Add", a, x), f"{layer}.attention.output.LayerNorm", model)
        h = g.linear(x, f"{layer}.intermediate.dense", model)
        half = g("Mul", h, g("Add", g("Erf", g("Div", h, f32(np.sqrt(2)))), f32(1.0)))
        h = g.linear(g("Mul", half, f32(0.5)), f"{layer}.output.dense", model)
        x = g.norm(g("Add", h, x), f"{layer}.output.LayerNorm", model)
    if with_mask:
        x = g("Mul", x, g("Unsqueeze", real, [2]))
    total = g("ReduceSum", x, [1], keepdims=0)
    norm = g("ReduceL2", total, [1], keepdims=1)
    g.nodes.append(helper.make_node("Div", [total, norm], ["embeddings"]))
    inputs = [helper.make_tensor_value_info(n, TensorProto.INT64, ["B", "T"]) for n in (*INPUTS, *["mask"][:with_mask])]
    outputs = [helper.make_tensor_value_info("embeddings", TensorProto.FLOAT, ["B", model.width])]
    weights = [numpy_helper.from_array(np.ascontiguousarray(x), name) for name, x in g.weights.items()]
    graph = helper.make_graph(g.nodes, "encoder", inputs, outputs, weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)


def arrays(ids, lengths, with_mask):
    places = np.arange(ids.shape[1], dtype=np.int64)
    mask = {"mask": (places < lengths[:, None]).astype(np.int64)} if with_mask else {}
    return {"tokens": ids, "places": np.tile(places, (len(ids), 1)), "types": np.zeros_like(ids), **mask}


# ---- ONNX Runtime ----


def fused(proto, model):
    """As ONNX Runtime's own tool for transformers fuses it; how many attentions it made."""
    import onnx
    from onnxruntime.transformers import optimizer

    # It prints, warns of what it leaves as it is, and leaves files in the working folder.
    with (
        tempfile.TemporaryDirectory() as folder,
        contextlib.chdir(folder),
        contextlib.redirect_stdout(io.StringIO()),
    ):
        onnx.save(proto, "model.onnx")
        logging.disable(logging.WARNING)
        result = optimizer.optimize_model("model.onnx", "bert", HEADS, model.width, use_gpu=False)
        logging.disable(logging.NOTSET)
    count = result.get_fused_operator_statistics().get("Attention", 0)
    return result.model, f"fused by its tool, {count} Attention"


def onnx_way(model, tokens, threads):
    import onnxruntime

    def session(proto):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        options.log_severity_level = 4
        options.add_session_config_entry("session.force_spinning_stop", "1")  # as rivals_onnx.py says
        return onnxruntime.InferenceSession(proto.SerializeToString(), options, providers=["CPUExecutionProvider"])

    for how, calls in batches(tokens):
        with_mask = any(has_padding(*call) for call in calls)
        proto = onnx_model(model, with_mask)
        for fusions, made in (("as exported", proto), fused(proto, model)[::-1]):
            one, parts = session(made), []
            for ids, lengths in calls:
                output = np.empty((len(ids), model.width), np.float32)
                parts.append(onnx_call(one, arrays(ids, lengths, with_mask), {"embeddings": output}, output.shape))

            def call(parts=parts):
                for part, _ in parts:
                    part()

            yield f"{how} {fusions}", call, lambda parts=parts: np.concatenate([result() for _, result in parts])


# ---- OpenVINO ----


def openvino_way(model, tokens, threads):
    import openvino

    for how, calls in batches(tokens):
        with_mask = any(has_padding(*call) for call in calls)
        core = openvino.Core()
        compiled = core.compile_model(
            core.read_model(onnx_model(model, with_mask).SerializeToString()),
            "CPU",
            {
                "INFERENCE_NUM_THREADS": threads,
                "NUM_STREAMS": 1,
                "INFERENCE_PRECISION_HINT": "f32",
                "ENABLE_CPU_PINNING": False,
            },
        )
        requests, inputs = [], [arrays(ids, lengths, with_mask) for ids, lengths in calls]
        for values in inputs:
            request = compiled.create_infer_request()
            for name, x in values.items():
                request.set_tensor(name, openvino.Tensor(x, shared_memory=True))
            requests.append(request)

        def call(requests=requests):
            for request in requests:
                request.infer(share_outputs=True)

        def result(requests=requests):
            return np.concatenate([r.get_output_tensor(0).data.copy() for r in requests])

        yield how, functools.partial(alive, (inputs, compiled), call), result


WAYS = {"torch": torch_way, "onnxruntime": onnx_way, "openvino": openvino_way}
