"""attn's C interface (attn.h) for Python: the structs, the prototypes, and the error messages as exceptions.

    lib = attn_c.Library("build/shared/libattn.so")
    call, output, keep = lib.attention_call(q, k, v, causal=True)    # NumPy float32 arrays [batch, heads, length, dim]
    call()
"""

import ctypes as c
import functools

import numpy as np


class Tensor(c.Structure):
    _fields_ = [("data", c.c_void_p), ("dtype", c.c_int32)] + [
        (name, c.c_int64) for name in ("batch_stride", "head_stride", "row_stride")
    ]


class Output(c.Structure):
    _fields_ = (
        [("data", c.c_void_p)]
        + [(name, c.c_int64) for name in ("batch_stride", "head_stride", "row_stride")]
        + [("dtype", c.c_int32)]
    )


class Strided4(c.Structure):  # attn_mask and attn_bias
    _fields_ = [("data", c.c_void_p)] + [
        (name, c.c_int64) for name in ("batch_stride", "head_stride", "row_stride", "column_stride")
    ]


class Parallel(c.Structure):
    _fields_ = [("run", c.c_void_p), ("context", c.c_void_p), ("threads", c.c_int64)]


class AttentionArgs(c.Structure):
    _fields_ = (
        [("size", c.c_size_t), ("initialized", c.c_int64)]
        + [
            (name, c.c_int64)
            for name in ("batch", "query_heads", "kv_heads", "query_length", "key_length", "head_dim", "value_dim")
        ]
        + [(name, Tensor) for name in ("query", "key", "value")]
        + [(name, Output) for name in ("output", "weights", "scores")]
        + [
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
            ("mask", Strided4),
            ("bias", Strided4),
            ("alibi_slopes", c.c_void_p),
            ("sinks", c.c_void_p),
            ("cu_query_lengths", c.c_void_p),
            ("cu_key_lengths", c.c_void_p),
            ("path", c.c_int32),
            ("parallel", c.POINTER(Parallel)),
            ("workspace", c.c_void_p),
            ("workspace_bytes", c.c_size_t),
        ]
    )


class MultiHeadConfig(c.Structure):
    _fields_ = (
        [("size", c.c_size_t)]
        + [(name, c.c_int64) for name in ("embed_dim", "num_heads", "kv_heads", "head_dim")]
        + [("layout", c.c_int32)]
        + [(name, c.c_void_p) for name in ("w_q", "w_k", "w_v", "b_q", "b_k", "b_v", "w_o", "b_o")]
    )


class ForwardOptions(c.Structure):
    _fields_ = [
        ("size", c.c_size_t),
        ("key_lengths", c.c_void_p),
        ("causal", c.c_int32),
        ("parallel", c.POINTER(Parallel)),
    ]


WEIGHTS_OUT_IN = 1


def address(array):
    assert array.dtype == np.float32 and array.flags.c_contiguous
    return array.ctypes.data


class Library:
    def __init__(self, path, threads=1):
        self.c = lib = c.CDLL(str(path))
        message = [c.c_char_p, c.c_size_t]
        lib.attn_attention_args_init.argtypes = [c.POINTER(AttentionArgs)]
        lib.attn_attention.argtypes = [c.POINTER(AttentionArgs)] + message
        lib.attn_workspace_size.argtypes = [c.POINTER(AttentionArgs)]
        lib.attn_workspace_size.restype = c.c_size_t
        lib.attn_softmax.argtypes = [c.c_void_p, c.c_void_p] + [c.c_int64] * 4 + [c.c_float] + message
        lib.attn_thread_pool_create.argtypes = [c.c_int64] + message
        lib.attn_thread_pool_create.restype = c.c_void_p
        lib.attn_thread_pool_parallel.argtypes = [c.c_void_p]
        lib.attn_thread_pool_parallel.restype = Parallel
        lib.attn_multi_head_create.argtypes = [c.POINTER(MultiHeadConfig)] + message
        lib.attn_multi_head_create.restype = c.c_void_p
        forward = [c.c_void_p, c.c_void_p, c.c_int64, c.c_int64, c.POINTER(ForwardOptions), c.c_void_p, c.c_void_p]
        lib.attn_multi_head_forward.argtypes = forward + message
        lib.attn_isa_count.restype = c.c_size_t
        for name in ("attn_isa_name", "attn_isa_runnable"):
            getattr(lib, name).argtypes = [c.c_size_t]
        for name in ("attn_isa_name", "attn_active_isa", "attn_version"):
            getattr(lib, name).restype = c.c_char_p

        self.parallel = None  # the calling thread
        if threads > 1:
            pool = self.checked(lib.attn_thread_pool_create, threads, pointer=True)
            self.parallel = lib.attn_thread_pool_parallel(pool)

    def checked(self, function, *args, pointer=False):
        message = c.create_string_buffer(256)
        result = function(*args, message, len(message))
        if bool(result) != pointer:
            raise RuntimeError(message.value.decode())
        return result

    def version(self):
        return self.c.attn_version().decode()

    def active_isa(self):
        name = self.c.attn_active_isa()
        return name.decode() if name else None

    def runnable_isas(self):  # best first
        runnable = filter(self.c.attn_isa_runnable, range(self.c.attn_isa_count()))
        return [self.c.attn_isa_name(i).decode() for i in runnable]

    # The calls below return (call, results, what must stay alive); call() has all of its arguments made beforehand.

    def attention_call(self, q, k, v, causal=False):
        args = AttentionArgs()
        self.c.attn_attention_args_init(args)
        args.batch, args.query_heads, args.query_length, args.head_dim = q.shape
        _, args.kv_heads, args.key_length, args.value_dim = v.shape
        for name, x in (("query", q), ("key", k), ("value", v)):
            _, heads, rows, columns = x.shape
            setattr(args, name, Tensor(address(x), 0, heads * rows * columns, rows * columns, columns))
        output = np.empty(q.shape[:3] + v.shape[3:], np.float32)
        _, heads, rows, columns = output.shape
        args.output = Output(address(output), heads * rows * columns, rows * columns, columns)
        args.causal = causal
        if self.parallel:
            args.parallel = c.pointer(self.parallel)
        workspace = np.empty(self.c.attn_workspace_size(args), np.uint8)
        args.workspace, args.workspace_bytes = workspace.ctypes.data, workspace.size
        self.checked(self.c.attn_attention, args)
        return functools.partial(self.c.attn_attention, c.byref(args), None, 0), [output], (args, workspace, q, k, v)

    def softmax_call(self, x):
        y = np.empty_like(x)
        rows, columns = x.shape
        args = (address(x), address(y), rows, columns, columns, columns, 1.0)
        self.checked(self.c.attn_softmax, *args)
        return functools.partial(self.c.attn_softmax, *args, None, 0), [y], x

    # w_q, w_k, w_v, w_o: [out, in], as torch.nn.Linear
    def multi_head_call(self, x, heads, w_q, w_k, w_v, w_o, need_weights):
        batch, length, embed = x.shape
        config = MultiHeadConfig(size=c.sizeof(MultiHeadConfig), embed_dim=embed, num_heads=heads)
        config.layout = WEIGHTS_OUT_IN
        for name, w in (("w_q", w_q), ("w_k", w_k), ("w_v", w_v), ("w_o", w_o)):
            setattr(config, name, address(w))
        layer = self.checked(self.c.attn_multi_head_create, config, pointer=True)
        options = ForwardOptions(size=c.sizeof(ForwardOptions))
        if self.parallel:
            options.parallel = c.pointer(self.parallel)
        output = np.empty_like(x)
        results = [output]
        if need_weights:
            results.append(np.empty((batch, heads, length, length), np.float32))
        args = (layer, address(x), batch, length, c.byref(options), address(output))
        args += (address(results[1]) if need_weights else None,)
        self.checked(self.c.attn_multi_head_forward, *args)
        return functools.partial(self.c.attn_multi_head_forward, *args, None, 0), results, (options, x)
