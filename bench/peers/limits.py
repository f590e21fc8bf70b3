"""The environment of the process of a race: what holds all contenders to an instruction set and number of threads."""

import os

# What holds the rivals to an instruction set that is not the best here. ONNX Runtime has no such switch, and ggml is
# built for this machine: they are no rivals there. OpenVINO obeys in its oneDNN, and perhaps not in kernels of its own,
# which would only make it the harder rival. Against scalar they run as they are. LIMITS of plain_loops.py are those of
# the loops.
LIMITS = {
    "avx512": {
        "OPENBLAS_CORETYPE": "SkylakeX",
        "ATEN_CPU_CAPABILITY": "avx512",
        "MKL_ENABLE_INSTRUCTIONS": "AVX512",
        "ONEDNN_MAX_CPU_ISA": "AVX512_CORE",
    },
    "avx2": {
        "OPENBLAS_CORETYPE": "Haswell",  # the BLAS of attn and of NumPy
        "ATEN_CPU_CAPABILITY": "avx2",
        "MKL_ENABLE_INSTRUCTIONS": "AVX2",
        "ONEDNN_MAX_CPU_ISA": "AVX2",
    },
    "neon": {},  # rows of f32 are computed without bf16 products
    "scalar": {},
}

# Threads that spin on after a call would disturb the next one's. By default those of OpenBLAS (attn's layers, NumPy)
# spin for 2^26 cycles and those of OpenMP (PyTorch, loops) for 300000 steps, 10 to 25 ms. This leaves them up to 1 ms,
# more than between two products of one call. rivals_onnx.py stops those of ONNX Runtime; attn's own spin for 0.1 ms.
FAIR = {"OPENBLAS_THREAD_TIMEOUT": "20", "GOMP_SPINCOUNT": "20000"}
QUIET = {"GGML_NO_BACKTRACE": "1"}  # where it aborts, it would start a debugger


def environment(isa, best_isa, threads):
    limits = {"ATTN_ISA": isa, **({} if isa == best_isa else LIMITS[isa])}
    count = {name: str(threads) for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")}
    return {**os.environ, **FAIR, **QUIET, **limits, **count}
