"""The shapes that attn_bench (bench/shape.cpp) and the race (bench/shapes.py) refuse, and what both say:
bench_shapes.py <attn_bench>"""

import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "bench"))
sys.dont_write_bytecode = True  # nothing is left in bench/

import shapes

WRONG = {
    "": 'batch is ""',
    "1,2": "KV heads is missing",
    "1,12,12,1,256": "head_dim is missing",
    "1,12,,1,256,64": 'KV heads is ""',
    "1,12,12,0,256,64": 'queries is "0"',
    "1,12,12,1,-2,64": 'keys is "-2"',
    "1,12,12,1,2x,64": 'keys is "2x"',
    "1,12,12,1, 2,64": 'keys is " 2"',
    "1,12,12,1,2000000,64": 'keys is "2000000"',
    "99999999999999999999,12,12,1,2,64": 'batch is "99999999999999999999"',
    "1,12,5,1,256,64": "multiple of KV heads, not 12 and 5",
    "1,12,12,1,256,64,half": '"half" is not causal',
    "1,12,12,1,256,64,f16,bf16": '"bf16" is not causal',
    "1,12,12,8,8,64,causal,causal": '"causal" is not causal',
    "1,12,12,8,8,64,": '"" is not causal',
    "1,12,12,1,256,64,causal": "as many queries as keys, not 1 and 256",
    "1048576,1048576,1048576,1048576,1048576,1048576": "more than 2^30 elements",
}
RIGHT = ["1,12,12,1,256,64", "1,12,4,8,8,40,causal,bf16", "1,12,4,8,8,40,f16,causal"]


def of_python(text):
    try:
        shapes.shape_of_text(text)
    except ValueError as error:
        return f"error: --shape {text}: {error}; a shape is {shapes.WORDS}\n"
    return ""


def of_attn_bench(program, text):
    done = subprocess.run(
        [program, "--shape", text, "--benchmark_list_tests"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert done.returncode == (1 if done.stderr else 0), f"{text}: {done.returncode}, {done.stderr}"
    assert done.stderr or f"/{text}\n" in done.stdout, f"{text} is not measured: {done.stdout}"
    return done.stderr


for shape in [*WRONG, *RIGHT]:
    said, here = of_attn_bench(sys.argv[1], shape), of_python(shape)
    assert said == here, f"attn_bench says: {said}shapes.py says: {here}"
    assert WRONG.get(shape, "") in here and bool(here) == (shape in WRONG), f"{shape}: {here}"
print(f"{len(WRONG)} shapes refused, {len(RIGHT)} taken, alike by both")
