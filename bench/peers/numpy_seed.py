"""The project's seed in NumPy, extended to heads and batches: what MultiHeadAttention is measured against.

    y, weights = MultiHeadSelfAttention(768, 12).forward(x)   # x: float32 [batch, length, 768]

The time of one forward pass: python -m bench.peers.numpy_seed [batch length embed_dim num_heads]
"""

import sys
import time

import numpy as np


def softmax(x):
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


class MultiHeadSelfAttention:
    def __init__(self, embed_dim, num_heads, seed=42):
        assert embed_dim % num_heads == 0
        self.num_heads = num_heads
        self.head_dim = embed_dim // num_heads
        random = np.random.RandomState(seed)
        self.W_q, self.W_k, self.W_v = (
            (0.1 * random.randn(embed_dim, embed_dim)).astype(np.float32) for _ in range(3)
        )

    def forward(self, X):
        """X: [batch, length, embed_dim] -> output [batch, length, embed_dim], weights [batch, heads, length, length]"""
        batch, length, embed_dim = X.shape

        def heads(x):  # [batch, length, embed_dim] -> [batch, heads, length, head_dim]
            return x.reshape(batch, length, self.num_heads, self.head_dim).transpose(0, 2, 1, 3)

        Q, K, V = heads(X @ self.W_q), heads(X @ self.W_k), heads(X @ self.W_v)
        scores = Q @ K.transpose(0, 1, 3, 2) / np.float32(np.sqrt(self.head_dim))
        weights = softmax(scores)
        output = (weights @ V).transpose(0, 2, 1, 3).reshape(batch, length, embed_dim)
        return output, weights


if __name__ == "__main__":
    batch, length, embed_dim, num_heads = map(int, sys.argv[1:] or (4, 512, 768, 12))
    layer = MultiHeadSelfAttention(embed_dim, num_heads)
    X = np.random.RandomState(0).randn(batch, length, embed_dim).astype(np.float32)
    times = []
    for _ in range(11):
        start = time.perf_counter()
        layer.forward(X)
        times.append(time.perf_counter() - start)
    print(f"B{batch}_T{length}_E{embed_dim}_H{num_heads}: {1e3 * sorted(times)[5]:.2f} ms (median of 11)")
