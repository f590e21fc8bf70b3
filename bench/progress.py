"""How far a run is and how long it will take, on the standard error: one line that is rewritten, or one for each tenth."""

import sys
import time


class Progress:
    def __init__(self, what, total):
        """total: of whatever done() counts."""
        self.what, self.total, self.counted = what, max(total, 1e-9), 0.0
        self.start, self.tenth = time.monotonic(), 0

    def done(self, amount):
        self.counted += amount
        share = min(1.0, self.counted / self.total)
        left = (time.monotonic() - self.start) * (1 - share) / max(share, 1e-9)
        text = f"{self.what}: {share:4.0%}, about {left:.0f} s left"
        if sys.stderr.isatty():
            print(f"\r{text:<60}", end="\n" if share >= 1 - 1e-9 else "", file=sys.stderr, flush=True)
        elif int(share * 10 + 1e-6) > self.tenth:
            self.tenth = int(share * 10 + 1e-6)
            print(text, file=sys.stderr, flush=True)
