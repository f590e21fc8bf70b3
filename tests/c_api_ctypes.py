"""The shared library from Python, by its C interface and nothing but the standard library: c_api_ctypes.py <libattn.so>

That the structs below, written by hand from attn.h, have the size that the library fills in is part of the test.
"""

import ctypes as c
import math
import random
import sys

Strides3 = [(name, c.c_int64) for name in ("batch_stride", "head_stride", "row_stride")]
Strides4 = [*Strides3, ("column_stride", c.c_int64)]


class Tensor(c.Structure):
    _fields_ = [("data", c.c_void_p), ("dtype", c.c_int32), *Strides3]


class Output(c.Structure):
    _fields_ = [("data", c.c_void_p), *Strides3, ("dtype", c.c_int32)]


class MaskOrBias(c.Structure):
    _fields_ = [("data", c.c_void_p), *Strides4]


class Args(c.Structure):
    _fields_ = [
        ("size", c.c_size_t),
        ("initialized", c.c_int64),
        *((name, c.c_int64) for name in ("batch", "query_heads", "kv_heads", "query_length", "key_length")),
        *((name, c.c_int64) for name in ("head_dim", "value_dim")),
        *((name, Tensor) for name in ("query", "key", "value")),
        *((name, Output) for name in ("output", "weights", "scores")),
        ("scores_stage", c.c_int32),
        ("logsumexp", c.c_void_p),
        ("key_weight_sums", c.c_void_p),
        ("scale", c.c_float),
        ("softcap", c.c_float),
        ("causal", c.c_int32),
        ("window_left", c.c_int64),
        ("window_right", c.c_int64),
        ("alignment", c.c_int32),
        ("query_offsets", c.c_void_p),
        ("key_lengths", c.c_void_p),
        ("mask", MaskOrBias),
        ("bias", MaskOrBias),
        ("alibi_slopes", c.c_void_p),
        ("sinks", c.c_void_p),
        ("cu_query_lengths", c.c_void_p),
        ("cu_key_lengths", c.c_void_p),
        ("path", c.c_int32),
        ("parallel", c.c_void_p),
        ("workspace", c.c_void_p),
        ("workspace_bytes", c.c_size_t),
    ]


def load(path):
    lib = c.CDLL(path)
    lib.attn_attention.argtypes = [c.POINTER(Args), c.c_char_p, c.c_size_t]
    lib.attn_softmax.argtypes = [c.c_void_p, c.c_void_p, *[c.c_int64] * 4, c.c_float, c.c_char_p, c.c_size_t]
    lib.attn_version.restype = lib.attn_active_isa.restype = c.c_char_p
    return lib


def normals(n):
    return (c.c_float * n)(*(random.gauss(0, 1) for _ in range(n)))


def softmax(scores):
    top = max(scores)
    e = [math.exp(s - top) for s in scores]
    return [x / sum(e) for x in e]


def check_close(got, want, tolerance):
    assert len(got) == len(want)
    for i, (g, w) in enumerate(zip(got, want)):
        assert abs(g - w) <= tolerance, f"element {i}: got {g}, want {w}"


def check_attention(lib):
    H, T, D = 3, 21, 10  # causal self-attention of [1, H, T, D]
    q, k, v, output = normals(H * T * D), normals(H * T * D), normals(H * T * D), (c.c_float * (H * T * D))()
    args = Args()
    lib.attn_attention_args_init(c.byref(args))
    assert args.size == c.sizeof(Args), f"the struct has {args.size} bytes in the library, {c.sizeof(Args)} here"
    args.query_heads = args.kv_heads = H
    args.query_length = args.key_length = T
    args.head_dim = args.value_dim = D
    for name, x in (("query", q), ("key", k), ("value", v)):
        setattr(args, name, Tensor(c.addressof(x), 0, H * T * D, T * D, D))
    args.output = Output(c.addressof(output), H * T * D, T * D, D)
    args.causal = 1
    message = c.create_string_buffer(256)
    assert lib.attn_attention(args, message, len(message)) == 0, message.value.decode()

    def row(x, h, t):
        return x[(h * T + t) * D : (h * T + t + 1) * D]

    want = []
    for h in range(H):
        for t in range(T):
            scores = [sum(a * b for a, b in zip(row(q, h, t), row(k, h, j))) / math.sqrt(D) for j in range(t + 1)]
            weights = softmax(scores)
            want += [sum(w * row(v, h, j)[e] for j, w in enumerate(weights)) for e in range(D)]
    check_close(output, want, 2e-6)

    zeroed = Args(size=c.sizeof(Args))
    assert lib.attn_attention(zeroed, message, len(message)) == 1
    assert b"attn_attention_args_init" in message.value, message.value

    args.head_dim = 0
    assert lib.attn_attention(args, message, len(message)) == 1
    assert b"head_dim" in message.value, message.value


def check_softmax(lib):
    rows, columns = 4, 100
    x, y = normals(rows * columns), (c.c_float * (rows * columns))()
    message = c.create_string_buffer(256)
    shape = (rows, columns, columns, columns)
    status = lib.attn_softmax(c.addressof(x), c.addressof(y), *shape, 2.0, message, len(message))
    assert status == 0, message.value.decode()
    want = []
    for r in range(rows):
        want += softmax([2.0 * s for s in x[r * columns : (r + 1) * columns]])
    check_close(y, want, 1e-6)


if __name__ == "__main__":
    random.seed(1)
    library = load(sys.argv[1])
    check_attention(library)
    check_softmax(library)
    print(f"attn {library.attn_version().decode()} from Python, by {library.attn_active_isa().decode()}: right")
