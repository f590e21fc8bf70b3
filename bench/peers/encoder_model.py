"""The model of the race of encoders, its rows, and the embeddings in float64."""

import json
import struct

import numpy as np

HEADS = 12
EPSILON = 1e-12
FIRST, LAST = 101, 102  # [CLS], [SEP]

# 32 paragraphs, as they come: 20 to 250 tokens.
PARAGRAPHS = [98, 27, 153, 62, 205, 40, 117, 250, 31, 85, 171, 20, 138, 74, 219, 51]
PARAGRAPHS += [110, 36, 192, 57, 131, 23, 234, 92, 68, 162, 45, 181, 79, 146, 104, 123]

# Name: lengths of the sequences of a call.
ROWS = {
    "12 tokens": [12],
    "128 tokens": [128],
    "512 tokens": [512],
    "8 x 128 tokens": [128] * 8,
    "32 paragraphs": PARAGRAPHS,
}


def read_weights(path):
    """{name: array} of a safetensors file, without what is not f32."""
    with open(path, "rb") as file:
        (size,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(size))
        data = np.frombuffer(file.read(), np.uint8)
    header.pop("__metadata__", None)
    floats = {name: t for name, t in header.items() if t["dtype"] == "F32"}
    return {n: data[slice(*t["data_offsets"])].view(np.float32).reshape(t["shape"]) for n, t in floats.items()}


class Model:
    """w[name]: the weights. names of layer i: "encoder.layer.i." and these, each with .weight and .bias."""

    PARTS = ("query", "key", "value", "attention.output.dense", "attention.output.LayerNorm")

    def __init__(self, path):
        self.w = read_weights(path)
        self.width = self.w["embeddings.LayerNorm.bias"].size
        self.layers = sum(name.endswith("attention.self.query.weight") for name in self.w)

    def linear(self, name):
        """[in, out] and [out] of a torch.nn.Linear."""
        return np.ascontiguousarray(self.w[f"{name}.weight"].T), self.w[f"{name}.bias"]

    def norm(self, name):
        return self.w[f"{name}.weight"], self.w[f"{name}.bias"]

    def first_rows(self, tokens):
        """What the first LayerNorm gets, for tokens [..., T]."""
        w = self.w
        places = w["embeddings.position_embeddings.weight"][: tokens.shape[-1]]
        return w["embeddings.word_embeddings.weight"][tokens] + places + w["embeddings.token_type_embeddings.weight"][0]


def sequences(lengths):
    """Token ids: random words between [CLS] and [SEP]."""
    random = np.random.default_rng(7)
    return [np.array([FIRST, *random.integers(1000, 30000, n - 2), LAST], np.int64) for n in lengths]


def padded(tokens):
    """[batch, longest] with 0 behind each sequence, and its lengths."""
    lengths = np.array([len(t) for t in tokens], np.int64)
    result = np.zeros((len(tokens), lengths.max()), np.int64)
    for row, t in zip(result, tokens):
        row[: len(t)] = t
    return result, lengths


def reference(model, tokens):
    """The embeddings of all sequences, one by one in float64: [batch, width]."""
    import torch  # for erf, which NumPy lacks

    def layer_norm(x, name):
        gain, shift = model.norm(name)
        x = x - x.mean(-1, keepdims=True)
        return x / np.sqrt((x * x).mean(-1, keepdims=True) + EPSILON) * gain + shift

    def linear(x, name):
        w, b = model.linear(name)
        return x @ w.astype(np.float64) + b

    def heads(x):
        return x.reshape(len(x), HEADS, -1).transpose(1, 0, 2)

    def embedding(t):
        places, types = (model.w[f"embeddings.{n}_embeddings.weight"] for n in ("position", "token_type"))
        x = model.w["embeddings.word_embeddings.weight"][t].astype(np.float64) + places[: len(t)] + types[0]
        x = layer_norm(x, "embeddings.LayerNorm")
        for i in range(model.layers):
            layer = f"encoder.layer.{i}"
            q, k, v = (heads(linear(x, f"{layer}.attention.self.{n}")) for n in ("query", "key", "value"))
            s = q @ k.transpose(0, 2, 1) / np.sqrt(q.shape[-1])
            p = np.exp(s - s.max(-1, keepdims=True))
            a = (p / p.sum(-1, keepdims=True) @ v).transpose(1, 0, 2).reshape(x.shape)
            x = layer_norm(linear(a, f"{layer}.attention.output.dense") + x, f"{layer}.attention.output.LayerNorm")
            h = linear(x, f"{layer}.intermediate.dense")
            h = h / 2 * (1 + torch.special.erf(torch.from_numpy(h / np.sqrt(2))).numpy())
            x = layer_norm(linear(h, f"{layer}.output.dense") + x, f"{layer}.output.LayerNorm")
        mean = x.mean(0)
        return mean / np.sqrt(mean @ mean)

    return np.stack([embedding(t) for t in tokens])
