"""Kernels in C, which gcc compiles for this CPU when they are first needed."""

import ctypes
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import torch

FLAGS = ("-O3", "-march=native", "-std=gnu11", "-fPIC", "-fopenmp", f"-I{Path(__file__).parent}")  # vectors.h is here


def check_compiler(*, key: str) -> None:
    """ValueError, which names the setting `key`, where there is no gcc."""
    if shutil.which("gcc") is None or not sys.platform.startswith("linux"):
        raise ValueError(f"{key}=compiled needs gcc on Linux, which is not here: {_mend(key)}")


def compile_library(source: Path, *, key: str) -> ctypes.CDLL:
    """What a C file offers, compiled in about a second; ValueError, which names the setting `key`, where gcc is missing or
    fails."""
    check_compiler(key=key)
    with tempfile.TemporaryDirectory() as folder:  # a new one that nobody else may write to
        built, library = Path(folder) / f"{source.stem}.o", Path(folder) / f"{source.stem}.so"
        # linked without OpenMP: torch has loaded one, and the threads of a second would be in the way of its own
        for command in ((*FLAGS, "-c", source, "-o", built), ("-shared", built, "-o", library, "-lm")):
            done = subprocess.run(["gcc", *map(str, command)], capture_output=True, text=True, errors="replace")
            if done.returncode:
                first_line = done.stderr.strip().partition("\n")[0]
                raise ValueError(f"{key}=compiled: gcc fails on {source} ({first_line}): {_mend(key)}")
        try:
            ctypes.CDLL(str(Path(torch.__file__).parent / "lib" / "libtorch_cpu.so"), mode=ctypes.RTLD_GLOBAL)
            return ctypes.CDLL(str(library))
        except OSError as error:
            raise ValueError(
                f"{key}=compiled: what gcc made cannot be loaded ({error}): let TMPDIR name a folder whose files may be run, "
                f"or use {key}=torch"
            ) from None


def _mend(key: str) -> str:
    return f"install gcc, or use {key}=torch"
