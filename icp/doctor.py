"""`icp doctor`: whether the installation can do the work, and what is missing.

In: the environment. Out: checks, a line each. Nothing heavy is imported: what is installed is read from its metadata.
"""

import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, metadata, requires, version
from importlib.util import find_spec
from pathlib import Path

from icp import __version__
from icp.machine import open_files

OLDEST_PYTHON = (3, 11)
OLDEST_JAVA = 17
THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMBA_NUM_THREADS",
    "RAYON_NUM_THREADS",
    "TOKENIZERS_PARALLELISM",
)
LITTLE_DISK = 5 << 30
ASK_SECONDS, FEW_FILES = 10, 1024
_NAME = re.compile(r"[\w.-]+")
_OLDEST = re.compile(r">=([\w.]+)")


@dataclass(frozen=True, slots=True)
class Check:
    """One thing looked at.

    Attributes:
        name: what.
        sound: False if a run cannot work with it as it is.
        text: what was found, and what to do if it is not sound.
    """

    name: str
    sound: bool
    text: str

    def line(self) -> str:
        """The check as it is printed."""
        return f"{'ok' if self.sound else 'BROKEN':<7} {self.name:<22} {self.text}"


def examine() -> Iterator[Check]:
    """Look at everything a run needs or could use."""
    yield _python()
    yield Check("icp", True, __version__)
    yield from (_library(name, oldest) for name, oldest in requirements())
    yield check_faiss({name: found for name in ("faiss-cpu", "faiss-gpu") if (found := installed(name))})
    yield _gpu()
    yield _optional("sentence-transformers", "embed.model: minilm or another transformer", 'pip install ".[gpu]"')
    yield _optional("torch", "embed.model: minilm or another transformer", 'pip install ".[gpu]"')
    yield _java()
    yield _optional("pyspark", "--engine spark", 'pip install ".[spark]"')
    yield _threads()
    yield _blas()
    yield _kernel_cache()
    yield _open_files()
    yield check_disk(Path.cwd())


def requirements() -> list[tuple[str, str]]:
    """What every run needs, and the oldest version of each, as the package itself says; extras left out."""
    try:
        lines = [line for line in requires("icp") or [] if ";" not in line]
    except PackageNotFoundError:  # run from its source, not installed
        return []
    return [(_NAME.findall(line)[0], (_OLDEST.findall(line) or ["0"])[0]) for line in lines]


def licences() -> Iterator[str]:
    """A line for each package that icp stands on, theirs included: name, version, licence as its metadata names it.

    What no extra asks for comes first; what extras ask for, and is installed, follows.
    """
    own = requires("icp") or [] if installed("icp") else []
    seen: set[str] = set()
    for title, lines in (("every run", [line for line in own if "extra ==" not in line]), ("extras", own)):
        waiting = [_NAME.findall(line)[0] for line in lines]
        found = {}
        while waiting:
            name = re.sub(r"[-_.]+", "-", waiting.pop()).lower()
            if name in seen or installed(name) is None:
                continue
            seen.add(name)
            found[name] = f"{name:<28} {version(name):<14} {_licence(name)}"
            waiting += [_NAME.findall(line)[0] for line in requires(name) or [] if "extra ==" not in line]
        yield f"{title}: {len(found)} packages"
        yield from (found[name] for name in sorted(found))


def _licence(name: str) -> str:
    about = metadata(name)
    told = [about[key] for key in ("License-Expression", "License") if key in about]
    kinds = [line.rpartition("::")[2].strip() for line in about.get_all("Classifier") or [] if "License ::" in line]
    short = next((text.strip().splitlines()[0] for text in told if text and text.strip()), "")
    return short if 0 < len(short) <= 60 else ", ".join(kinds) or "not named in its metadata"


def installed(package: str) -> str | None:
    """The version of an installed package, None if it is not there."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def check_faiss(wheels: dict[str, str]) -> Check:
    """At most one faiss wheel may be there: both write into the same folder and destroy each other.

    Nothing needs FAISS but the search for neighbours on a GPU.
    """
    shown = ", ".join(f"{name} {found}" for name, found in wheels.items())
    if not wheels:
        if find_spec("faiss") is not None:
            return Check("faiss", True, "there, though not from a wheel (conda or built here)")
        return Check("faiss", True, 'not installed (only to find neighbours on a GPU: pip install ".[gpu]")')
    if len(wheels) > 1:
        return Check(
            "faiss",
            False,
            f"{shown}: both write into one folder and destroy each other; uninstall both, and for a GPU reinstall one: "
            'pip uninstall -y faiss-cpu faiss-gpu && pip install ".[gpu]"',
        )
    if find_spec("faiss") is None:
        return Check(
            "faiss",
            False,
            f"{shown} is listed but its files are gone; pip install --force-reinstall {shown.split()[0]}",
        )
    return Check("faiss", True, shown)


def check_disk(folder: Path) -> Check:
    """Room on the disk of a folder; little room is a note, what a run needs depends on the corpus."""
    free = shutil.disk_usage(folder).free
    note = "; that is little, a run keeps texts, vectors and tokens" if free < LITTLE_DISK else ""
    return Check("disk", True, f"{free / 2**30:,.1f} GiB free in {folder}{note}")


def _python() -> Check:
    sound = sys.version_info[:2] >= OLDEST_PYTHON
    needed = "" if sound else f"; {'.'.join(map(str, OLDEST_PYTHON))} or newer is needed"
    return Check("python", sound, f"{platform.python_version()} on {platform.machine()}{needed}")


def _library(name: str, oldest: str) -> Check:
    found = installed(name)
    if found is None:
        return Check(name, False, f"not installed; pip install '{name}>={oldest or 0}'")
    if _numbers(found) < _numbers(oldest):
        return Check(name, False, f"{found} is too old; pip install '{name}>={oldest}'")
    return Check(name, True, found)


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", text)[:3])


def _optional(name: str, purpose: str, command: str) -> Check:
    found = installed(name)
    return Check(name, True, found or f"not installed (only for {purpose}: {command})")


def _gpu() -> Check:
    lines = _ask(["nvidia-smi", "--query-gpu=name,memory.total", "--format=csv,noheader"])
    if not lines:
        return Check("gpu", True, "none seen; the default embeddings and neighbours need none")
    return Check("gpu", True, "; ".join(lines))


def _java() -> Check:
    lines = _java_version()
    if lines and java_problem() is None:
        return Check("java", True, lines[0])
    return Check("java", True, f"{java_problem()} (only for --engine spark)")


def java_problem() -> str | None:
    """What is wrong with Java for Spark and what to install, None if nothing is."""
    remedy = f"install a JDK {OLDEST_JAVA} or newer, e.g. apt install openjdk-{OLDEST_JAVA}-jre-headless"
    lines = _java_version()
    if not lines:
        home = os.environ.get("JAVA_HOME")
        return f"no Java found{f' in JAVA_HOME={home}' if home else ''}; {remedy}, or set JAVA_HOME"
    found = re.search(r'version "(\d+)', lines[0])
    if found is not None and int(found.group(1)) < OLDEST_JAVA:
        return f"{lines[0]} is too old; {remedy}"
    return None


def _java_version() -> list[str]:
    home = os.environ.get("JAVA_HOME")
    return _ask([str(Path(home) / "bin" / "java") if home else "java", "-version"])


def _ask(command: Sequence[str]) -> list[str]:
    """The lines a program prints, none if it is not there or fails."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=ASK_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return []
    text = done.stdout if done.stdout.strip() else done.stderr
    return [line.strip() for line in text.splitlines() if line.strip()] if done.returncode == 0 else []


def _threads() -> Check:
    at_hand, all_cpus = len(os.sched_getaffinity(0)), os.cpu_count()
    chosen = ", ".join(f"{name}={os.environ[name]}" for name in THREAD_VARIABLES if name in os.environ)
    return Check("threads", True, f"{at_hand} of {all_cpus} CPUs at hand; {chosen or 'no thread variable is set'}")


def _blas() -> Check:
    core = os.environ.get("OPENBLAS_CORETYPE")
    if core is None:
        return Check("blas", True, "OPENBLAS_CORETYPE is not set")
    return Check(
        "blas", True, f"OPENBLAS_CORETYPE={core}: this can slow numpy several times; unset it unless you need it"
    )


def _open_files() -> Check:
    soft, hard = open_files()
    few = "; too few for a run of many parts: raise it (ulimit -Hn)" if hard < FEW_FILES else ""
    return Check("open files", True, f"{soft:,} at once, {hard:,} at most{few}")


def _kernel_cache() -> Check:
    from icp.kernels._jit import CACHE_FOLDER

    folder = Path(CACHE_FOLDER)
    try:
        with tempfile.TemporaryFile(dir=folder):
            filled = "filled" if (folder / "complete").exists() else "empty: the first run compiles for up to a minute"
    except OSError as error:
        return Check("kernel cache", False, f"{folder} cannot be written ({error.strerror}); set XDG_CACHE_HOME")
    return Check("kernel cache", True, f"{folder} ({filled})")
