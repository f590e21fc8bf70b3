"""Calls of attn by its C interface (attn_c.py) from NumPy arrays of float32; a cache may be of halves.

    lib = attn_c.Library("build/shared/libattn.so")
    call, results, keep = attn_calls.attention_call(lib, q, k, v, causal=True)    # [batch, heads, length, dim]
    call()

Each function returns (call, results, what must stay alive); call() has all of its arguments made beforehand.
"""

import ctypes as c
import functools

import numpy as np

from .attn_c import F32, WEIGHTS_OUT_IN, AttentionArgs, ForwardOptions, MultiHeadConfig, Output, Scales, Tensor

# ATTN_F32 and so on, and how NumPy holds them: bf16 as its bits.
# A row of q8_0 is an array of its blocks.
BLOCK = np.dtype([("scale", np.float16), ("values", np.int8, 32)])
TYPES = {"f32": (F32, np.float32), "f16": (1, np.float16), "bf16": (2, np.uint16), "i8": (3, np.int8), "q8_0": (4, BLOCK)}


def address(array, kind="f32"):
    assert array.dtype == TYPES[kind][1] and array.flags.c_contiguous
    return array.ctypes.data


def dense(struct, x, kind="f32"):
    """The Tensor or Output of an array [batch, heads, rows, columns]."""
    _, heads, rows, columns = x.shape
    columns *= 32 if kind == "q8_0" else 1
    return struct(address(x, kind), TYPES[kind][0], heads * rows * columns, rows * columns, columns)


def scales_of(x):
    """The Scales of an array [batch, heads, rows]."""
    _, heads, rows = x.shape
    return Scales(address(x), heads * rows, rows, 1)


def attention_call(lib, q, k, v, causal=False, kinds=("f32", "f32"), bf16_weights=False):
    """kinds: the type of q; that of k and v. Of i8 each of these is (integers, scales)."""
    query_kind, kind = kinds
    scales = ()
    if kind == "i8":
        (k, *k_scales), (v, *v_scales) = k, v
        scales = (*k_scales, *v_scales)
    args = AttentionArgs()
    lib.c.attn_attention_args_init(args)
    args.batch, args.query_heads, args.query_length, args.head_dim = q.shape
    _, args.kv_heads, args.key_length, args.value_dim = v.shape
    args.value_dim *= 32 if kind == "q8_0" else 1
    output = np.empty((*q.shape[:3], args.value_dim), np.float32)
    if scales:
        args.key_scales, args.value_scales = map(scales_of, scales)
    args.query, args.key, args.value = dense(Tensor, q, query_kind), dense(Tensor, k, kind), dense(Tensor, v, kind)
    args.output = dense(Output, output)
    args.causal = causal
    args.bf16_weights = bf16_weights
    if lib.parallel:
        args.parallel = c.pointer(lib.parallel)
    workspace = np.empty(lib.c.attn_workspace_size(args), np.uint8)
    args.workspace, args.workspace_bytes = workspace.ctypes.data, workspace.size
    lib.checked(lib.c.attn_attention, args)
    return functools.partial(lib.c.attn_attention, c.byref(args), None, 0), [output], (args, workspace, q, k, v, scales)


def softmax_call(lib, x):
    y = np.empty_like(x)
    rows, columns = x.shape
    args = (address(x), address(y), rows, columns, columns, columns, 1.0)
    lib.checked(lib.c.attn_softmax, *args)
    return functools.partial(lib.c.attn_softmax, *args, None, 0), [y], x


# w_q, w_k, w_v, w_o: [out, in], as torch.nn.Linear
def multi_head_call(lib, x, heads, w_q, w_k, w_v, w_o, need_weights):
    batch, length, embed = x.shape
    config = MultiHeadConfig(size=c.sizeof(MultiHeadConfig), embed_dim=embed, num_heads=heads)
    config.layout = WEIGHTS_OUT_IN
    for name, w in (("w_q", w_q), ("w_k", w_k), ("w_v", w_v), ("w_o", w_o)):
        setattr(config, name, address(w))
    layer = lib.checked(lib.c.attn_multi_head_create, config, pointer=True)
    options = ForwardOptions(size=c.sizeof(ForwardOptions))
    if lib.parallel:
        options.parallel = c.pointer(lib.parallel)
    output = np.empty_like(x)
    results = [output]
    if need_weights:
        results.append(np.empty((batch, heads, length, length), np.float32))
    args = (layer, address(x), batch, length, c.byref(options), address(output))
    args += (address(results[1]) if need_weights else None,)
    lib.checked(lib.c.attn_multi_head_forward, *args)
    return functools.partial(lib.c.attn_multi_head_forward, *args, None, 0), results, (options, x)
