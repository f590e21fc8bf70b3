"""The inner loops of the kernels, found in the compiler's assembly, and llvm-mca's word on them.

llvm-mca simulates a CPU's pipelines from LLVM's model of it: no caches, no memory, no wrong branches. So it says what
a loop can reach at best, for CPUs that are not here.
"""

import os
import pathlib
import re
import shutil
import subprocess
from dataclasses import dataclass

ROOT = pathlib.Path(__file__).resolve().parent.parent
ITERATIONS = 500


@dataclass(frozen=True)
class Isa:
    name: str
    triple: str
    fma: str  # a regular expression of the instruction
    forms: tuple  # of it, with operands that a loop of them does not change
    vectors: int  # registers for sixteen lanes
    stack: str  # an address on the stack
    lanes: str = ""  # whose lanes it takes; its own if empty


X86_FMA = r"\s+vfn?m(?:add|sub)\d+ps\s"
ISAS = {
    "avx2": Isa("avx2", "x86_64", X86_FMA, ("\tvfmadd231ps %ymm14, %ymm15, %ymm0",), 2, r"\(%rsp[,)]"),
    "avx512": Isa("avx512", "x86_64", X86_FMA, ("\tvfmadd231ps %zmm30, %zmm31, %zmm0",), 1, r"\(%rsp[,)]"),
    "neon": Isa("neon", "aarch64", r"\s+fmla\s+v", ("\tfmla v0.4s, v30.4s, v31.4s", "\tfmla v0.4s, v30.4s, v31.s[0]"),
                4, r"\[sp\b"),
    "avx512bf16": Isa("avx512bf16", "x86_64", r"\s+vdpbf16ps\s", ("\tvdpbf16ps %zmm30, %zmm31, %zmm0",), 1,
                      r"\(%rsp[,)]", "avx512"),
    "neonbf16": Isa("neonbf16", "aarch64", r"\s+bfmlal[bt]\s",
                    ("\tbfmlalt v0.4s, v30.8h, v31.8h", "\tbfmlalb v0.4s, v30.8h, v31.8h"), 4, r"\[sp\b", "neon"),
}

# Loops that do more than multiply: they fetch ahead, widen halves or mask a tail.
EXTRA = re.compile(r"\s+(?:prefetch|prfm|vmaskmov|vcvt|fcvt|vpmov|vpsll|[su]?shll)")


@dataclass
class Loop:
    role: str  # "scores", "values", "projection" or "scores, values": one function for both
    fmas: int
    spills: int  # instructions that move vectors from or to the stack
    lines: list


# ---- Assembly ----


def tile(isa):
    """Rows of the full tile, and its vectors of sixteen columns."""
    text = (ROOT / f"simd/lanes_{isa.lanes or isa.name}.hpp").read_text()
    rows, vectors = (int(re.search(rf"\btile_{name} = (\d+);", text)[1]) for name in ("rows", "vectors"))
    return rows, vectors


def isa_flags(isa, text=None):
    """The compiler flags of an instruction set, as the build sets them."""
    match = re.search(rf"set\(flags_{isa.name} ([^)]*)\)", text or (ROOT / "CMakeLists.txt").read_text())
    return match[1].split() if match else []


def assembly(isa, compiler):
    """Of simd/<isa>.cpp with the flags of the build. -g1 changes no instruction, it names the header of each."""
    command = [compiler, "-std=c++17", "-O3", "-fPIC", "-DNDEBUG", "-fno-math-errno", "-fno-fast-math"]
    command += ["-ffp-contract=off", "-g1", "-fno-verbose-asm", *isa_flags(isa), f"-I{ROOT}", f"-I{ROOT}/include"]
    command += ["-S", f"{ROOT}/simd/{isa.name}.cpp", "-o", "-"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()


def first_line(compiler):
    """Its name and version."""
    return subprocess.run([compiler, "--version"], capture_output=True, text=True).stdout.split("\n")[0]


LABEL = re.compile(r"(\.L\w+):")
BRANCH = re.compile(r"\s+(?:j\w+|b\w*|b\.\w+|cbn?z|tbn?z)\s+(?:.*\s)?(\.L\w+)\s*(?:[#;/].*)?$")


def inner_loops(lines):
    """(function, headers, instructions) from each label to a branch back to it, where no other target is between."""
    targets = {match[1] for line in lines if (match := BRANCH.match(line))}
    files, function, frame, start = {}, "", False, None
    for i, line in enumerate(lines):
        if match := re.match(r'\s+\.file\s+(\d+)\s.*?"([^"]*)"(?:\s+md5.*)?\s*$', line):
            files[match[1]] = match[2].rsplit("/", 1)[-1]
        elif match := re.match(r"(_Z\w+):", line):
            function, frame, start = match[1], False, None
        elif re.match(r"\s+movq\s+%rsp, %rbp", line):
            frame = True
        elif (match := LABEL.match(line)) and match[1] in targets:
            start = (match[1], i)
        elif (match := BRANCH.match(line)) and start and match[1] == start[0]:
            body = lines[start[1] : i + 1]
            headers = {files.get(n, "") for x in body for n in re.findall(r"\.loc\s+(\d+)\s", x)}
            instructions = [x for x in body if re.match(r"\s+[a-z]", x)]
            if frame:  # the frame pointer is an address on the stack, too
                instructions = [x.replace("(%rbp", "(%rsp") for x in instructions]
            yield function, headers, instructions


def role(function, headers, rows, vectors):
    """What a loop computes for a full tile, or None."""
    full = rf".*LanesELi{rows}ELi{vectors}E"  # the arguments of the template
    if "project.hpp" in headers:
        return "projection" if re.search("multiply_panels" + full, function) else None
    if "product.hpp" not in headers:
        return None
    if "score" in function:
        return "scores"
    if "value" in function or "weigh" in function:
        return "values"
    return "scores, values" if re.search("multiply_tile" + full, function) else None


def is_spill(line, isa):
    vector = r"\s[qv]\d+[.,]" if isa.triple == "aarch64" else r"%[xyz]mm"
    return bool(re.search(isa.stack, line) and re.search(vector, line))


def tile_loops(lines, isa, shape=None):
    """The loops of full tiles that do nothing but load and multiply."""
    rows, vectors = shape or tile(isa)
    for function, headers, body in inner_loops(lines):
        fmas = sum(bool(re.match(isa.fma, x)) for x in body)
        name = role(function, headers, rows, vectors)
        if not name or not fmas or fmas % (rows * vectors * isa.vectors) or any(EXTRA.match(x) for x in body):
            continue
        yield Loop(name, fmas, sum(is_spill(x, isa) for x in body), body)


# ---- llvm-mca ----


def newest(tool):
    """The newest of tool-19, tool-18, ..., or tool; None if there is none."""
    found = []
    for folder in os.get_exec_path():
        for path in pathlib.Path(folder).glob(f"{tool}-*"):
            if match := re.fullmatch(rf"{tool}-(\d+)", path.name):
                found.append((int(match[1]), str(path)))
    return max(found)[1] if found else shutil.which(tool)


def version(mca):
    """(version, LLVM's name of this machine's CPU)"""
    text = subprocess.run([mca, "--version"], capture_output=True, text=True).stdout
    found = [re.search(pattern, text) for pattern in (r"version (\S+)", r"Host CPU: (\S+)")]
    return tuple(match[1] if match else None for match in found)


@dataclass
class Answer:
    cycles: float  # of one iteration
    least: float  # cycles that the units need at least: Block RThroughput
    width: int  # instructions that start in a cycle
    uops: float  # of one iteration
    first_unit: str  # whose name says whose model it is
    unit_cycles: dict  # unit: its busy cycles of one iteration
    by_instruction: list  # (instruction, {unit: cycles})
    causes: dict  # "resources", "registers", "memory": share of the cycles in which they held up


def pressure(text):
    """The tables of busy cycles: of all units, and of each instruction."""
    units = re.findall(r"^\[([\d.]+)\]\s+- (\w+)", text, re.M)
    total, by_instruction, part = {}, [], None
    for line in text.splitlines():
        if line.startswith("Resource pressure"):
            part = "total" if "per iteration" in line else "instructions"
        elif part and line.strip() and not line.startswith("["):
            cells = line.split(None, len(units))
            busy = {u: float(x) for (_, u), x in zip(units, cells) if x != "-"}
            if part == "total" and not total:
                total = busy
            elif part == "instructions":
                by_instruction.append((cells[len(units)] if len(cells) > len(units) else "", busy))
    return units[0][1] if units else "", total, by_instruction


def parse(text):
    def number(pattern):
        match = re.search(pattern + r"\s+([\d.]+)", text)
        return float(match[1]) if match else 0.0

    rounds = number("Iterations:")
    causes = {
        key: number(rf"{words}\s+\[") / 100
        for key, words in (
            ("resources", r"(?:Resource Pressure|Throughput Bottlenecks:\s+Resource Pressure)"),
            ("registers", r"- Register Dependencies"),
            ("memory", r"- Memory Dependencies"),
        )
    }
    return Answer(number("Total Cycles:") / rounds, number("Block RThroughput:"), int(number("Dispatch Width:")),
                  number("Total uOps:") / rounds, *pressure(text), causes)


def ask(mca, isa, cpu, lines):
    """None if this LLVM does not know the CPU."""
    command = [mca, f"-mtriple={isa.triple}", f"-mcpu={cpu}", f"-iterations={ITERATIONS}", "-bottleneck-analysis"]
    done = subprocess.run(command, input="\n".join(lines) + "\n", capture_output=True, text=True)
    if "is not a recognized processor" in done.stderr:
        return None
    done.check_returncode()
    return parse(done.stdout)
