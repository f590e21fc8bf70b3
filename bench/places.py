"""Where things are: the project, and the folder that cmake/dev.sh builds in."""

import os
import pathlib

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILD = pathlib.Path(os.environ.get("ATTN_BUILD_DIR") or "build")
RESULTS = ROOT / "bench" / "results"


def previous(path):
    """Where a file goes that is written again."""
    return path.with_name(f"{path.stem}.previous{path.suffix}")
