"""attn's C interface (attn.h) for Python: the structs, the prototypes, and the error messages as exceptions.

    lib = attn_c.Library("build/shared/libattn.so")
    lib.checked(lib.c.attn_attention, args)    # an AttentionArgs

Needs the standard library only; attn_calls.py makes calls from NumPy arrays. attn_merge_args is MergeArgs here, and so
on. tests/c_api_ctypes.py compares all structs and prototypes with attn.h.
"""

import ctypes as c

F32 = 0
WEIGHTS_OUT_IN = 1


# ---- The structs: a line for each line of attn.h ----


def members(kind, *names):
    return [(name, kind) for name in names]


class Tensor(c.Structure):
    _fields_ = [
        *members(c.c_void_p, "data"),
        *members(c.c_int32, "dtype"),
        *members(c.c_int64, "batch_stride", "head_stride", "row_stride"),
    ]


class Output(c.Structure):
    _fields_ = [
        *members(c.c_void_p, "data"),
        *members(c.c_int32, "dtype"),
        *members(c.c_int64, "batch_stride", "head_stride", "row_stride"),
    ]


class Scales(c.Structure):
    _fields_ = [
        *members(c.c_void_p, "data"),
        *members(c.c_int64, "batch_stride", "head_stride", "row_stride"),
    ]


class MutableScales(c.Structure):
    _fields_ = [
        *members(c.c_void_p, "data"),
        *members(c.c_int64, "batch_stride", "head_stride", "row_stride"),
    ]


class Mask(c.Structure):
    _fields_ = [
        *members(c.c_void_p, "data"),
        *members(c.c_int64, "batch_stride", "head_stride", "row_stride", "column_stride"),
    ]


class Bias(c.Structure):
    _fields_ = [
        *members(c.c_void_p, "data"),
        *members(c.c_int32, "dtype"),
        *members(c.c_int64, "batch_stride", "head_stride", "row_stride", "column_stride"),
        *members(c.c_void_p, "head_factors"),
    ]


class Parallel(c.Structure):
    _fields_ = [
        *members(c.c_void_p, "run"),
        *members(c.c_void_p, "context"),
        *members(c.c_int64, "threads"),
    ]


class AttentionArgs(c.Structure):
    _fields_ = [
        *members(c.c_size_t, "size"),
        *members(c.c_int64, "initialized"),
        *members(c.c_int64, "batch", "query_heads", "kv_heads", "query_length", "key_length", "head_dim", "value_dim"),
        *members(Tensor, "query", "key", "value"),
        *members(Scales, "key_scales", "value_scales"),
        *members(c.c_int32, "key_layout"),
        *members(c.c_void_p, "page_table"),
        *members(c.c_int64, "page_table_stride", "page_length", "page_count"),
        *members(Output, "output", "weights", "scores"),
        *members(c.c_int32, "scores_stage"),
        *members(c.c_void_p, "logsumexp", "key_weight_sums"),
        *members(c.c_float, "scale", "softcap"),
        *members(c.c_uint8, "causal"),
        *members(c.c_int64, "window_left", "window_right"),
        *members(c.c_int32, "alignment"),
        *members(c.c_void_p, "query_offsets"),
        *members(c.c_void_p, "key_lengths"),
        *members(Mask, "mask"),
        *members(c.c_int64, "mask_columns"),
        *members(Bias, "bias"),
        *members(c.c_void_p, "alibi_slopes"),
        *members(c.c_void_p, "sinks"),
        *members(c.c_uint8, "bf16_weights"),
        *members(c.c_void_p, "cu_query_lengths", "cu_key_lengths"),
        *members(c.c_int32, "path"),
        *members(c.POINTER(Parallel), "parallel"),
        *members(c.c_int64, "share_index", "share_count"),
        *members(c.c_void_p, "workspace"),
        *members(c.c_size_t, "workspace_bytes"),
    ]


class AppendArgs(c.Structure):
    _fields_ = [
        *members(c.c_size_t, "size"),
        *members(c.c_int64, "initialized"),
        *members(c.c_int64, "batch", "kv_heads", "new_length", "capacity", "head_dim", "value_dim"),
        *members(Tensor, "key", "value"),
        *members(Output, "key_cache", "value_cache"),
        *members(MutableScales, "key_scales", "value_scales"),
        *members(c.c_int32, "key_layout"),
        *members(c.c_void_p, "page_table"),
        *members(c.c_int64, "page_table_stride", "page_length", "page_count"),
        *members(c.c_void_p, "new_lengths"),
        *members(c.c_void_p, "lengths"),
    ]


class MergeArgs(c.Structure):
    _fields_ = [
        *members(c.c_size_t, "size"),
        *members(c.c_int64, "parts", "rows", "value_dim"),
        *members(c.c_void_p, "outputs"),
        *members(c.c_int64, "part_stride", "row_stride"),
        *members(c.c_void_p, "logsumexps"),
        *members(c.c_int64, "logsumexp_part_stride"),
        *members(c.c_void_p, "output"),
        *members(c.c_int64, "output_row_stride"),
        *members(c.c_void_p, "logsumexp"),
    ]


class ThreadPoolOptions(c.Structure):
    _fields_ = [
        *members(c.c_size_t, "size"),
        *members(c.c_int64, "initialized", "threads", "spin_microseconds"),
        *members(c.c_void_p, "cpus"),
        *members(c.c_int64, "cpu_count"),
        *members(c.c_uint8, "avoid_callers_cpu"),
    ]


class MultiHeadConfig(c.Structure):
    _fields_ = [
        *members(c.c_size_t, "size"),
        *members(c.c_int64, "embed_dim", "num_heads", "kv_heads", "head_dim"),
        *members(c.c_int32, "layout"),
        *members(c.c_void_p, "w_q", "w_k", "w_v", "b_q", "b_k", "b_v", "w_o", "b_o"),
        *members(c.c_int64, "kv_dim"),
        *members(c.c_int32, "projection"),
    ]


class LayerCache(c.Structure):
    _fields_ = [
        *members(c.c_size_t, "size"),
        *members(Output, "key", "value"),
        *members(c.c_int64, "capacity"),
        *members(c.c_void_p, "lengths"),
    ]


class ForwardOptions(c.Structure):
    _fields_ = [
        *members(c.c_size_t, "size"),
        *members(c.c_void_p, "key_lengths"),
        *members(c.c_int32, "causal"),
        *members(c.POINTER(Parallel), "parallel"),
        *members(c.c_int32, "bottom_right", "average_weights", "path"),
        *members(Mask, "mask"),
        *members(Bias, "bias"),
        *members(c.c_void_p, "context"),
        *members(c.c_int64, "context_length"),
        *members(c.c_void_p, "cu_lengths", "cu_context_lengths"),
        *members(c.POINTER(LayerCache), "cache"),
    ]


# ---- The prototypes: {function: (result, parameters)} ----

MESSAGE = [c.c_char_p, c.c_size_t]
PROTOTYPES = {
    "attn_attention_args_init": (None, [c.POINTER(AttentionArgs)]),
    "attn_attention": (c.c_int, [c.POINTER(AttentionArgs), *MESSAGE]),
    "attn_workspace_size": (c.c_size_t, [c.POINTER(AttentionArgs)]),
    "attn_softmax": (c.c_int, [c.c_void_p, c.c_void_p, *[c.c_int64] * 4, c.c_float, *MESSAGE]),
    "attn_append_args_init": (None, [c.POINTER(AppendArgs)]),
    "attn_append": (c.c_int, [c.POINTER(AppendArgs), *MESSAGE]),
    "attn_keys_to_panels": (c.c_int, [*[c.c_int64] * 4, c.POINTER(Tensor), c.POINTER(Output), *MESSAGE]),
    "attn_merge_args_init": (None, [c.POINTER(MergeArgs)]),
    "attn_merge": (c.c_int, [c.POINTER(MergeArgs), *MESSAGE]),
    "attn_thread_pool_options_init": (None, [c.POINTER(ThreadPoolOptions)]),
    "attn_thread_pool_create": (c.c_void_p, [c.c_int64, *MESSAGE]),
    "attn_thread_pool_create_with": (c.c_void_p, [c.POINTER(ThreadPoolOptions), *MESSAGE]),
    "attn_thread_pool_parallel": (Parallel, [c.c_void_p]),
    "attn_thread_pool_destroy": (None, [c.c_void_p]),
    "attn_linear_create": (c.c_void_p, [*[c.c_int64] * 2, *[c.c_void_p] * 2, *[c.c_int32] * 2, *MESSAGE]),
    "attn_linear_forward": (
        c.c_int,
        [c.c_void_p, c.c_void_p, c.c_int64, c.c_void_p, c.POINTER(Parallel), *MESSAGE],
    ),
    "attn_linear_destroy": (None, [c.c_void_p]),
    "attn_multi_head_create": (c.c_void_p, [c.POINTER(MultiHeadConfig), *MESSAGE]),
    "attn_multi_head_forward": (
        c.c_int,
        [c.c_void_p, c.c_void_p, c.c_int64, c.c_int64, c.POINTER(ForwardOptions), c.c_void_p, c.c_void_p, *MESSAGE],
    ),
    "attn_multi_head_destroy": (None, [c.c_void_p]),
    "attn_isa_count": (c.c_size_t, []),
    "attn_isa_name": (c.c_char_p, [c.c_size_t]),
    "attn_isa_runnable": (c.c_int, [c.c_size_t]),
    "attn_active_isa": (c.c_char_p, []),
    "attn_use_isa": (c.c_int, [c.c_char_p, *MESSAGE]),
    "attn_version": (c.c_char_p, []),
}


class Library:
    def __init__(self, path, threads=1):
        self.c = c.CDLL(str(path))
        for name, (result, parameters) in PROTOTYPES.items():
            function = getattr(self.c, name)
            function.restype, function.argtypes = result, parameters

        self.parallel = None  # the calling thread
        if threads > 1:
            pool = self.checked(self.c.attn_thread_pool_create, threads, pointer=True)
            self.parallel = self.c.attn_thread_pool_parallel(pool)

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
