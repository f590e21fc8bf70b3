"""What this machine is and how busy it is, as results.schema.json has it. What a system does not tell is null. Files are
sent in, so nothing here names the machine or its user."""

import os
import pathlib
import platform
import re
import subprocess
import time

CPUS = pathlib.Path("/sys/devices/system/cpu")
# Those that the kernels ask for, and those of products that they do not use.
FLAGS = (
    "avx2 fma f16c avx512f avx512dq avx512bw avx512vl avx512_bf16 avx512_fp16 avx_vnni amx_tile amx_bf16 "
    "asimd asimdhp fphp bf16 sve sve2 sme"
).split()
UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30}


def describe():
    info, more = cpu_info(), lscpu()
    all_flags = (info.get("flags") or info.get("Features") or "").split()
    return {
        "cpu": info.get("model name") or more.get("Model name") or brand() or platform.machine() or "unknown",
        "vendor": info.get("vendor_id") or info.get("CPU implementer"),
        "family": number(info.get("cpu family")),
        "model": number(info.get("model") or info.get("CPU part")),
        "stepping": number(info.get("stepping") or info.get("CPU variant")),
        "flags": [flag for flag in FLAGS if flag in all_flags],
        "all_flags": all_flags,
        "cores": cores(),
        "threads": threads(),
        "virtual": more.get("Hypervisor vendor") or ("yes" if "hypervisor" in all_flags else None),
        "caches": caches(),
        "memory_bytes": memory_bytes(),
        "os": system(),
        "kernel": kernel(),
    }


def text_of(path):
    try:
        return pathlib.Path(path).read_text().strip()
    except (OSError, UnicodeDecodeError):
        return ""


def output_of(*command):
    try:
        environment = {**os.environ, "LC_ALL": "C"}
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, env=environment)
    except (OSError, UnicodeDecodeError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def fields(text):
    """{name: value} of the first line of each name."""
    found = {}
    for line in text.splitlines():
        name, colon, value = line.partition(":")
        if colon and value.strip():
            found.setdefault(name.strip(), value.strip())
    return found


def cpu_info():
    return fields(text_of("/proc/cpuinfo"))


def lscpu():
    """Arm's /proc/cpuinfo has numbers for names, and none has the hypervisor."""
    return fields(output_of("lscpu"))


def brand():
    return output_of("sysctl", "-n", "machdep.cpu.brand_string")  # macOS


def number(text):
    return int(text, 0) if text and re.fullmatch("0x[0-9a-fA-F]+|0|[1-9][0-9]*", text) else None


def threads():
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # macOS
        return os.cpu_count() or 1


def cores():
    siblings = {text_of(path) for path in CPUS.glob("cpu[0-9]*/topology/thread_siblings_list")}
    return len(siblings - {""}) or None


def size_of(text):
    """Bytes of "32K"; 0 if it is none."""
    found = re.fullmatch("([0-9]+)([KMG]?)", text)
    return int(found[1]) * UNITS[found[2]] if found else 0


def count_of(cpu_list):
    """Of "0-3,8": 5."""
    ranges = [part.split("-") for part in cpu_list.split(",") if part]
    return sum(int(ends[-1]) - int(ends[0]) + 1 for ends in ranges)


def caches(folder=CPUS / "cpu0" / "cache"):
    found = []
    for index in sorted(pathlib.Path(folder).glob("index*")):
        kind, size = text_of(index / "type"), size_of(text_of(index / "size"))
        if kind in ("Data", "Unified") and size:
            shared = count_of(text_of(index / "shared_cpu_list")) or 1
            level = number(text_of(index / "level")) or 1
            found.append({"level": level, "type": kind, "bytes": size, "shared_by": shared})
    return sorted(found, key=lambda cache: cache["level"])


def memory_bytes():
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError):
        return None


def system():
    try:
        return platform.freedesktop_os_release().get("PRETTY_NAME")
    except OSError:
        return " ".join(filter(None, (platform.system(), platform.mac_ver()[0]))) or None


def kernel():
    """Its number alone: who builds a kernel may put a name behind it."""
    found = re.match(r"[0-9]+(\.[0-9]+)*", platform.release())
    return f"{platform.system()} {found[0]}" if found else platform.system() or None


def load_average():
    try:
        return list(os.getloadavg())
    except (AttributeError, OSError):
        return None


def processor_times():
    """Seconds of all processors since the start: used, given to others by the host, and in all; or None."""
    words = text_of("/proc/stat").partition("\n")[0].split()
    if words[:1] != ["cpu"] or len(words) < 9:
        return None
    user, nice, kernel_time, idle, waiting, irq, soft_irq, stolen = (
        int(word) / os.sysconf("SC_CLK_TCK") for word in words[1:9]
    )
    used = user + nice + kernel_time + irq + soft_irq
    return used, stolen, used + stolen + idle + waiting


def shares_since(before):
    """Of all processors' time since those processor_times(): used, and given to others by the host; or None, None."""
    now = processor_times()
    if not before or not now or now[2] <= before[2]:
        return None, None
    used, stolen, total = (b - a for a, b in zip(before, now))
    return min(1.0, max(0.0, used / total)), min(1.0, max(0.0, stolen / total))


def busy(seconds=1.0):
    """The share of all processors' time that others use now; or None."""
    before = processor_times()
    if not before:
        return None
    time.sleep(seconds)
    return shares_since(before)[0]
