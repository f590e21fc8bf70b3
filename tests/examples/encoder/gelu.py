"""The coefficients of gelu() in rows.cpp, and their errors: python3 tests/examples/encoder/gelu.py (needs NumPy).

Both fits make the largest relative error least, by Lawson's weights: each round multiplies the weights by the errors.
"""

import math

import numpy as np


def fit(function, variable, low, high, degree):
    points = (low + high) / 2 + (high - low) / 2 * np.cos((np.arange(600) + 0.5) * math.pi / 600)
    values = np.array([function(t) for t in points])
    powers = np.vander(variable(points), degree + 1, increasing=True) / values[:, None]
    weights, best = np.full(600, 1 / 600), (math.inf, None)
    for _ in range(60):
        root = np.sqrt(weights)
        coefficients = np.linalg.lstsq(powers * root[:, None], root, rcond=None)[0]
        errors = np.abs(powers @ coefficients - 1)
        best = min(best, (errors.max(), list(coefficients)))
        weights = weights * errors / (weights * errors).sum()
    return best


def show(name, found):
    print(f"{name}: relative error {found[0]:.1e}\n  " + ", ".join(f"{c:.9g}f" for c in found[1]))


tail = fit(lambda t: math.erfc(t / math.sqrt(2)) / 2 * math.exp(t * t / 2), lambda t: (t - 3) / (t + 3), 0, 7, 7)
show("Phi(-t) exp(t^2 / 2), t in [0, 7], powers of (t - 3) / (t + 3)", tail)
show("2^f, f in [-1/2, 1/2], powers of f", fit(lambda f: 2**f, lambda f: f, -0.5, 0.5, 5))
