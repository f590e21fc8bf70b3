"""What attn_bench (bench/*.cpp) and the tools in Python (bench/*.py) must agree on: which shapes they refuse and what they
say, the rows of rows.txt, which of them are long, and the cells of the grid. bench_shapes.py <attn_bench>"""

import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
sys.dont_write_bytecode = True  # nothing is left in bench/

from bench import grid, rows, shapes

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
    "1,12,12,1,256,64,half": '"half" is no word of a shape',
    "1,12,12,1,256,64,f16,bf16": '"bf16" is no word of a shape',
    "1,12,12,1,256,64,i8,f16": '"f16" is no word of a shape',
    "1,12,12,1,256,40,q8_0": "multiple of 32, not 40",
    "1,12,12,8,8,64,causal,causal": '"causal" is no word of a shape',
    "1,12,12,8,8,64,": '"" is no word of a shape',
    "1,12,12,8,8,64,long": '"long" is no word of a shape',
    "1,12,12,1,256,64,bf16_queries,bf16_queries": '"bf16_queries" is no word of a shape',
    "1,12,12,1,256,64,f16,bf16_weights": "bf16_weights needs a cache of bf16",
    "1,12,12,1,256,64,causal": "as many queries as keys, not 1 and 256",
    "1048576,1048576,1048576,1048576,1048576,1048576": "more than 2^30 elements",
}
RIGHT = [
    "1,12,12,1,256,64",
    "1,12,4,8,8,40,causal,bf16",
    "1,12,4,8,8,40,f16,causal",
    "1,12,4,8,8,40,i8",
    "1,12,4,8,8,64,q8_0",
    "1,12,4,8,8,40,bf16,bf16_queries,bf16_weights",
]


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
    assert done.stderr or f"/{text}/" in done.stdout, f"{text} is not measured: {done.stdout}"
    return done.stderr


# Other options of attn_bench, and a part of what it says.
WRONG_OPTIONS = {
    "--threads=": '"" is not a number from 1 to 4096',
    "--threads=1,0": '"0" is not a number',
    "--threads=2x": '"2x" is not a number',
    "--sample-seconds=0": "not a number above 0",
    "--sample-seconds=1s": "not a number above 0",
    "--long=1": "unrecognized",
}


def listed(program, *flags):
    """{name: shape} of rows and cells, as attn_bench has them."""
    done = subprocess.run([program, "--list-shapes", *flags], stdout=subprocess.PIPE, check=True, text=True)
    lines = [line.split(" ") for line in done.stdout.splitlines()]
    found = {name: shapes.shape_of_text(text) for name, text, _ in lines}
    for name, _, amount in lines:
        assert found[name].bytes() == int(amount), f"{name}: {amount} bytes in C++, {found[name].bytes()} in Python"
    assert len(found) == len(lines), "two rows or cells have one name"
    return found


def compare_rows(program, long):
    found = listed(program, *(["--long"] if long else []))
    cells = {name: shape for name, shape in found.items() if grid.shape_of_cell(name)}
    wanted = {name: shapes.shape_of_words(words) for name, words in rows.read_rows(long)["attention"].items()}
    measured = {name: shape for name, shape in found.items() if name not in cells}
    assert measured == wanted, f"attn_bench has the rows {measured}, rows.py has {wanted}"
    assert cells and set(cells) <= set(grid.cells(grid.SIZES)), f"cells that grid.py does not have: {list(cells)}"
    for name, shape in cells.items():
        assert shape == grid.shape_of_cell(name), f"{name}: {shape} in C++, {grid.shape_of_cell(name)} in Python"
    return len(wanted), len(cells)


for shape in [*WRONG, *RIGHT]:
    said, here = of_attn_bench(sys.argv[1], shape), of_python(shape)
    assert said == here, f"attn_bench says: {said}shapes.py says: {here}"
    assert WRONG.get(shape, "") in here and bool(here) == (shape in WRONG), f"{shape}: {here}"
for page in ("bench/README.md", "bench/peers/README.md"):
    assert f"--shape {shapes.WORDS}`" in (ROOT / page).read_text(encoding="utf-8"), f"{page}: --shape is not {shapes.WORDS}"
print(f"{len(WRONG)} shapes refused, {len(RIGHT)} taken, alike by both")
for option, words in WRONG_OPTIONS.items():
    done = subprocess.run(
        [sys.argv[1], option, "--benchmark_list_tests"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert done.returncode == 1 and words in done.stderr, f"{option}: {done.returncode}, {done.stderr}"

short, all_rows = (compare_rows(sys.argv[1], long) for long in (False, True))
assert short < all_rows, f"--long adds nothing: {short} and {all_rows}"
print(f"{all_rows[0]} rows, {all_rows[1]} cells of the grid, alike by both")
