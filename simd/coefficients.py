"""Finds the coefficients of exp.hpp and tanh.hpp anew, and says their error beside that of the ones in the files.

    python3 simd/coefficients.py [--step 61] [--exp-degree 7]        needs NumPy; the build does not use it

The best polynomial in the largest relative error (Remez), then its coefficients rounded to float one by one, from the
lowest degree up, the others fitted again after each. That is not always the best set of floats: take the best of those shown.
Fails if the files' coefficients are worse than the files say. --exp-degree: what another degree would bring.
The whole function is tried in emulated float32, at every --step'th float; tests/kernels/exp_test.cpp tries all, on the CPU.
"""

import argparse
import pathlib
import re
import sys

try:
    import numpy as np
except ImportError:
    print("NumPy is not installed: nothing was tried")
    sys.exit(77)

HERE = pathlib.Path(__file__).resolve().parent
f32, f64 = np.float32, np.float64


# ---- The best polynomial ----


def remez(x, columns, target):
    """c that makes the largest |target - columns @ c| over the grid x least: exchange of alternating extrema. Columns
    are powers of x times something positive; where the lowest changes sign, so does the order of the extrema."""
    count = columns.shape[1]
    sign = np.sign(columns[:, 0])
    columns, target = columns * sign[:, None], target * sign
    at = np.round((1 - np.cos(np.pi * (np.arange(count + 1) + 0.5) / (count + 1))) / 2 * (len(x) - 1)).astype(int)
    for _ in range(50):
        signs = (-1.0) ** np.arange(count + 1)
        solution = np.linalg.solve(np.column_stack([columns[at], signs]), target[at])
        error = target - columns @ solution[:-1]
        # The largest error of each run of one sign; of these the count + 1 in a row that are largest.
        edges = np.flatnonzero(np.diff(np.sign(error))) + 1
        runs = np.split(np.arange(len(x)), edges)
        extrema = np.array([run[np.argmax(np.abs(error[run]))] for run in runs])
        if len(extrema) < count + 1:
            break
        starts = range(len(extrema) - count)
        best = max(starts, key=lambda i: np.abs(error[extrema[i : i + count + 1]]).min())
        new = extrema[best : best + count + 1]
        if np.array_equal(new, at):
            break
        at = new
    return solution[:-1]


def fit(x, columns, target, rounded=()):
    """(largest error, coefficients in float): each rounded down and up, from the lowest degree, the rest fitted anew."""
    i = len(rounded)
    if i == columns.shape[1]:
        return np.abs(target - columns @ np.array(rounded)).max(), rounded
    first = f32(remez(x, columns[:, i:], target - columns[:, :i] @ np.array(rounded, f64))[0])
    near = {first, np.nextafter(first, f32(-1)), np.nextafter(first, f32(1))}
    return min(fit(x, columns, target, (*rounded, f64(c))) for c in near)


def grid(low, high, n=2000):
    return (low + high) / 2 - (high - low) / 2 * np.cos(np.pi * np.arange(n) / (n - 1))


# ---- The two functions: relative error = target - columns @ coefficients ----


def exp_problem(degree):
    """2^f = 1 + f (p1 + p2 f + p3 f^2 + ...) on [-1/2, 1/2]"""
    f = grid(-0.5, 0.5)
    return f, np.stack([f**i / np.exp2(f) for i in range(1, degree + 1)], axis=1), 1 - np.exp2(-f)


def tanh_problem():
    """tanh x = x + x^3 (p0 + p1 x^2 + ... + p4 x^8) on (0, 0.625]"""
    x = grid(2.0**-12, 0.625)
    return x, np.stack([x ** (2 * i + 3) / np.tanh(x) for i in range(5)], axis=1), 1 - x / np.tanh(x)


# ---- What the files hold ----


def stored(text, first):
    """p<first>, p<first + 1>, ... as far as the file has them"""
    found = {int(i): float.fromhex(value) for i, value in re.findall(r"\bp(\d) = [^;,]*?set1\((-?0x[0-9a-f.]+p-?\d+)f\)", text)}
    return np.array([found[i] for i in sorted(found) if i >= first])


def stated(text, pattern):
    return float(re.search(pattern, " ".join(text.replace("//", " ").split()))[1])


# ---- The whole functions, as the lanes compute them ----


def fma(a, b, c):  # the product is exact in float64; its sum is rounded twice, which differs once in 2^29
    return (a.astype(f64) * f64(b) + f64(c)).astype(f32) if np.isscalar(b) else (a.astype(f64) * b + c).astype(f32)


def exp_scaled(d, c_high, c_low, p):
    """2^(d (c_high + c_low)), p: p1, p2, ..."""
    n = fma(d, c_high, f32(12582912)) - f32(12582912)
    f = (d.astype(f64) * f64(c_high) - n).astype(f32)
    f = fma(d, c_low, f)
    y = np.full_like(f, p[-1])
    for coefficient in (*p[-2::-1], 1.0):
        y = (y.astype(f64) * f + coefficient).astype(f32)
    return np.ldexp(y, n.astype(np.int32))


def tanh(x, exp_p, p):
    c_high, c_low = f32(2.88539004), f32(3.85192598e-8)  # 2 log2(e)
    e = exp_scaled(-x, c_high, c_low, exp_p)
    large = f32(1) - f32(2) * e / (f32(1) + e)
    square = x * x
    y = np.full_like(x, p[-1])
    for coefficient in p[-2::-1]:
        y = (y.astype(f64) * square + coefficient).astype(f32)
    near = ((x * square).astype(f64) * y + x).astype(f32)
    return np.where(x < f32(0.625), near, large)


def floats(low, high, step):
    first, last = (int(np.array(v, f32).view(np.int32)) for v in (low, high))
    return np.arange(first, last, step, dtype=np.int32).view(f32)


def ulps(got, exact):
    return np.abs(got - exact) / np.exp2(np.floor(np.log2(exact)) - 23)


# ---- The report ----


def as_text(x):  # as C++ writes a float; of what is none, the nearest
    digits, exponent = float(f32(x)).hex().split("p")
    return f"{digits.rstrip('0')}p{int(exponent)}f"


def report(name, problem, in_file, claim):
    x, columns, target = problem
    best = remez(x, columns, target)
    says = f"; the file says {claim:.1e}" if claim else ""
    print(f"{name}: largest relative error of the polynomial{says}")
    errors = {}
    sets = [("best, not rounded", best), ("that, each rounded", best.astype(f32).astype(f64))]
    sets.append(("found here, float", fit(x, columns, target)[1]))
    if in_file is not None:
        sets.append(("in the file", in_file))
    for which, c in sets:
        errors[which] = np.abs(target - columns @ np.array(c)).max()
        print(f"  {which:<19} {errors[which]:.2e}  {' '.join(as_text(v) for v in c)}")
    return in_file is None or errors["in the file"] <= claim * 1.02


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--step", type=int, default=61, help="try every so many floats (default: %(default)s)")
    parser.add_argument("--exp-degree", type=int, help="find coefficients for this degree, too")
    options = parser.parse_args()
    step = options.step
    exp_text, tanh_text = (HERE / "exp.hpp").read_text(), (HERE / "tanh.hpp").read_text()
    exp_p, tanh_p = stored(exp_text, 1), stored(tanh_text, 0)
    good = [
        report("exp", exp_problem(len(exp_p)), exp_p, stated(exp_text, r"approximation error ([0-9.e-]+\d)")),
        report("tanh", tanh_problem(), tanh_p, stated(tanh_text, r"approximation error ([0-9.e-]+\d)")),
    ]
    if options.exp_degree:
        report(f"exp of degree {options.exp_degree}", exp_problem(options.exp_degree), None, 0)
    d = -floats(2.0**-26, 87.3, step)
    log2_e = 1.4426950408889634
    c_high = f32(log2_e)
    got = exp_scaled(d, c_high, f32(log2_e - f64(c_high)), exp_p)
    print(f"exp, {len(d)} floats: largest error {ulps(got, np.exp(d.astype(f64))).max():.5f} ULP (exp_test.cpp pins it)")

    x = floats(2.0**-12, 10, step)
    exact = np.tanh(x.astype(f64))
    worst, claim = (np.abs(tanh(x, exp_p, tanh_p) / exact - 1).max() * 2**24), stated(tanh_text, r"within ([0-9.]+) \*")
    print(f"tanh, {len(x)} floats: within {worst:.2f} * 2^-24 of itself; the file says {claim}")
    good.append(worst <= claim)
    if not all(good):
        sys.exit("error: a coefficient is worse than its file says")


if __name__ == "__main__":
    main()
