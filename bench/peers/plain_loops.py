"""The rival of plain loops, plain_loops.cpp: builds it, as a user would for the machine, and calls it."""

import ctypes as c
import functools
import os
import pathlib
import platform
import subprocess

import numpy as np

SOURCES = pathlib.Path(__file__).resolve().parent.parent  # bench/, where attn_bench has its own
# What holds the compiler to an instruction set that is not the best here.
LIMITS = {"avx2": ["-mavx2", "-mfma", "-mno-avx512f", "-mtune=native"]}
MOST_FLOP = 5e9  # more are seconds a call


def build_shared(folder, name, source, flags, link_flags=()):
    """Compiles and links apart: linked with -Ofast, a library would flush subnormals in the whole process."""
    compiler = [*os.environ.get("CXX", "c++").split(), "-std=c++17", "-fPIC"]
    made, library = pathlib.Path(folder) / f"{name}.o", pathlib.Path(folder) / f"{name}.so"
    subprocess.run([*compiler, *flags, "-c", str(SOURCES / source), "-o", str(made)], check=True)
    subprocess.run([*compiler, "-shared", str(made), *link_flags, "-o", str(library)], check=True)
    return library


def build(folder, isa, best_isa):
    """The library's path, or None if no compiler here makes it."""
    flags = ["-march=native"] if isa == best_isa else LIMITS.get(isa, ["-march=native"])
    if platform.machine() not in ("x86_64", "AMD64"):
        flags = ["-mcpu=native"]
    try:
        return build_shared(folder, f"plain-{isa}", "plain_loops.cpp", ["-Ofast", *flags, "-fopenmp"], ["-fopenmp"])
    except (OSError, subprocess.CalledProcessError):
        return None


def ways(path, shape, q, k, v):
    """As the ways of rivals.py. k, v: float32, or the bits of bf16 as uint16."""
    if not path:
        raise RuntimeError("no compiler here makes it")
    if shape.flop() > MOST_FLOP:
        raise RuntimeError(f"over {MOST_FLOP:g} flop")
    function = c.CDLL(str(path)).plain_attention
    function.argtypes, function.restype = [c.c_void_p] * 6, None
    half = k.dtype == np.uint16
    numbers = (c.c_int64 * 8)(*shape[:6], shape.causal, half)
    output = np.empty_like(q)
    scratch = np.empty((shape.batch * shape.query_heads, shape.keys), np.float32)
    arrays = q, k, v, output, scratch
    keep = functools.partial(keeping, (numbers, arrays), function)
    yield ("bf16" if half else ""), functools.partial(keep, numbers, *(x.ctypes.data for x in arrays)), lambda: output


def keeping(_memory, function, *args):
    return function(*args)
