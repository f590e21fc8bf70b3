"""Installs the other libraries into the environment whose Python runs this: python -m bench.peers.install

Says first how large they are. Needs the standard library only. What is there already stays.
"""

import importlib.metadata
import importlib.util
import pathlib
import shutil
import subprocess
import sys
import tempfile
import zipfile

# Module: what pip calls it, and megabytes to download and on disk with all that it brings. Measured in November 2026:
# pip tells the sizes only once it has downloaded.
MODULES = {
    "numpy": ("numpy", 17, 73),
    "scipy": ("scipy", 36, 143),
    "onnx": ("onnx", 10, 33),
    "onnxruntime": ("onnxruntime", 29, 81),
    "openvino": ("openvino", 60, 181),
}
TORCH = (2720, 4400)
# Built here for this machine; the operator for attention is in its library for CPUs.
GGML = (4, 5)
# The one library with oneDNN's graph interface on OpenMP that the index has. Intel's own packages run on SYCL (2 GB on
# disk, 0.13 ms a call), or are older than that interface's attention; only this file of the wheel is kept.
ONEDNN_WHEEL, ONEDNN_FILE, ONEDNN = "paddlepaddle==3.3.1", "paddle/libs/libdnnl.so.3", (195, 64)
ONEDNN_LIBRARY = pathlib.Path(sys.prefix) / "lib" / "libdnnl.so.3"


def pip(*arguments):
    """Its words are shown only if it fails: it calls what install_torch() leaves out an error, and goes on."""
    command = [sys.executable, "-m", "pip", *arguments, "-q", "--disable-pip-version-check"]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    print(done.stdout if done.returncode else "", end="")
    return done.returncode == 0


def missing(module):
    return importlib.util.find_spec(module) is None


def install_torch():
    """Without triton (290 MB, 1 GB on disk), which torch.compile() alone needs. The index has none for CPUs only; where
    pip knows one that has, it takes that, as 2.15.0+cpu is newer to it than 2.15.0."""
    if not pip("install", "--no-deps", "torch"):
        return False
    importlib.invalidate_caches()
    needed = [r for r in importlib.metadata.requires("torch") if "extra ==" not in r and not r.startswith("triton")]
    return pip("install", *needed)


def install_onednn():
    with tempfile.TemporaryDirectory() as folder:
        # Whatever Python runs here: of this wheel only a library in C++ is used.
        any_python = ("--python-version", "3.11", "--only-binary", ":all:")
        if not pip("download", "--no-deps", *any_python, "-d", folder, ONEDNN_WHEEL):
            return False
        with zipfile.ZipFile(next(pathlib.Path(folder).glob("*.whl"))) as wheel:
            if ONEDNN_FILE not in wheel.namelist():
                return False
            with wheel.open(ONEDNN_FILE) as source, ONEDNN_LIBRARY.open("wb") as target:
                shutil.copyfileobj(source, target)
    return True


def main():
    packages = {name: sizes for module, (name, *sizes) in MODULES.items() if missing(module)}
    steps = [(*packages[name], name, lambda name=name: pip("install", name)) for name in packages]
    if missing("torch"):
        steps.append((*TORCH, "torch", install_torch))
    if missing("ggml"):
        steps.append((*GGML, "ggml-python", lambda: pip("install", "ggml-python")))
    if not ONEDNN_LIBRARY.exists():
        steps.append((*ONEDNN, "oneDNN", install_onednn))
    download, on_disk = (sum(step[i] for step in steps) for i in (0, 1))
    free = shutil.disk_usage(sys.prefix).free / 1e6
    print(f"{', '.join(step[2] for step in steps) or 'nothing'}: {download} MB to download, {on_disk} MB on disk")
    if free < 1.2 * on_disk:
        sys.exit(f"error: {free:.0f} MB are free in {sys.prefix}, too few")
    for of_this, _, name, install in steps:
        print(f"  {name} ({of_this} MB) ...", flush=True)
        if install():
            continue
        if name not in ("ggml-python", "oneDNN"):
            sys.exit(f"error: pip could not install {name}")
        print(f"  {name} could not be had for this machine: the race goes without it")


if __name__ == "__main__":
    main()
