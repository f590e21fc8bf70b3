"""The tests of the Python tools import these from the project's root, wherever pytest was started."""

import os
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))
sys.dont_write_bytecode = True
os.environ.pop("ATTN_BUILD_DIR", None)  # dev.sh sets it: tests write into folders of their own
