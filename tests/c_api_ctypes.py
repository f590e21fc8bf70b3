"""The shared library from Python, by its C interface and nothing but the standard library: c_api_ctypes.py <libattn.so>

The structs and prototypes are those of bench/peers/attn_c.py. That they are those of attn.h, and that the structs have
the sizes that the library fills in, is part of the test.
"""

import ctypes as c
import math
import pathlib
import random
import re
import sys
from itertools import zip_longest

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
sys.dont_write_bytecode = True  # nothing is left in bench/

from bench.peers import attn_c
from bench.peers.attn_c import F32, AttentionArgs, Output, Tensor


def declarations(text):
    """[(name, type)] of a line of C such as "const float *w_q, *w_k". All pointers are one type."""
    kind, names = re.match(r"\s*(?:const )?(\w+)(.*)", text, re.DOTALL).groups()
    return [(name.strip(" *\n"), "pointer" if "*" in name else kind) for name in names.split(",")]


def read_header():
    """Of attn.h: {struct: [(member, type)]}, {function: [type of the result, then of each parameter]}."""
    text = re.sub(r"/\*.*?\*/", "", (ROOT / "include/attn/attn.h").read_text(), flags=re.DOTALL)
    text = re.sub(r"\(\*(\w+)\)\([^;]*\)", r"*\1", text)  # a pointer to a function, as one to anything
    text = re.sub(r"\b(int|attn_status_code)\b", "int32_t", text)
    structs, functions = {}, {}
    for name, body in re.findall(r"struct (\w+)\s*\{(.*?)\}", text, re.DOTALL):
        structs[name] = [member for line in body.split(";")[:-1] for member in declarations(line)]
    for function, parameters in re.findall(r"^([\w* ]+)\(([^)]*)\);", text, re.MULTILINE):
        [(name, result)] = declarations(function)
        lines = [] if parameters == "void" else parameters.split(",")
        functions[name] = [result, *(kind for line in lines for _, kind in declarations(line))]
    return structs, functions


C_NAMES = {c.c_int32: "int32_t", c.c_int64: "int64_t", c.c_size_t: "size_t", c.c_uint8: "uint8_t", c.c_float: "float"}
C_NAMES.update({c.c_void_p: "pointer", c.c_char_p: "pointer", None: "void"})
MIRROR = [x for x in vars(attn_c).values() if isinstance(x, type) and issubclass(x, c.Structure)]
C_NAMES.update({struct: "attn" + re.sub("([A-Z])", r"_\1", struct.__name__).lower() for struct in MIRROR})


def c_name(kind):
    """How attn.h calls a type of ctypes."""
    return "pointer" if hasattr(kind, "contents") else C_NAMES.get(kind, str(kind))


def check_same(header, mirror):
    for name in [*header, *mirror]:
        assert name in mirror, f"bench/peers/attn_c.py lacks {name} of attn.h"
        assert name in header, f"attn.h lacks {name} of bench/peers/attn_c.py"
        for i, (h, m) in enumerate(zip_longest(header[name], mirror[name])):
            assert h == m, f"{name}, place {i}: {h} in attn.h, {m} in bench/peers/attn_c.py"


def check_mirror():
    structs, functions = read_header()
    check_same(structs, {c_name(s): [(name, c_name(kind)) for name, kind in s._fields_] for s in MIRROR})
    prototypes = attn_c.PROTOTYPES.items()
    check_same(functions, {name: [c_name(kind) for kind in (result, *rest)] for name, (result, rest) in prototypes})


def check_sizes(lib):
    for struct in MIRROR:
        init = c_name(struct) + "_init"
        if init in attn_c.PROTOTYPES:
            args = struct()
            getattr(lib, init)(args)
            here = c.sizeof(struct)
            assert args.size == here, f"{c_name(struct)} has {args.size} bytes in the library, {here} here"


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
    args = AttentionArgs()
    lib.attn_attention_args_init(args)
    args.query_heads = args.kv_heads = H
    args.query_length = args.key_length = T
    args.head_dim = args.value_dim = D
    for name, x in (("query", q), ("key", k), ("value", v)):
        setattr(args, name, Tensor(c.addressof(x), F32, H * T * D, T * D, D))
    args.output = Output(c.addressof(output), F32, H * T * D, T * D, D)
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

    zeroed = AttentionArgs(size=c.sizeof(AttentionArgs))
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
    check_mirror()
    library = attn_c.Library(sys.argv[1])
    check_sizes(library.c)
    check_attention(library.c)
    check_softmax(library.c)
    print(f"attn {library.version()} from Python, by {library.active_isa()}: right")
