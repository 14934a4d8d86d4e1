"""What every rank must run alike: interpreter, libraries, devices and this project's own code, byte for byte."""

import hashlib
import platform
from collections import Counter
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

import mai1
from mai1.preflight.problem import Problem, named, nodes_of

PACKAGES = ("deepspeed", "numpy", "sentencepiece", "tokenizers")


def versions_here() -> dict[str, str]:
    """Names and versions of this rank's software and device."""
    has_cuda = torch.cuda.is_available()
    return {
        "mai1": f"{mai1.__version__} ({digest_of_code()})",
        "python": platform.python_version(),
        "torch": torch.__version__,
        "cuda": torch.version.cuda or "none",
        "nccl": ".".join(map(str, torch.cuda.nccl.version())) if has_cuda else "none",
        "device": torch.cuda.get_device_name() if has_cuda else f"cpu {platform.machine()}",
        **{name: _version(name) for name in PACKAGES},
    }


def digest_of_code() -> str:
    """Of all modules of mai1: two checkouts of one commit differ in it when a file was changed."""
    root = Path(mai1.__file__).parent
    digest = hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        content = path.read_bytes()
        digest.update(f"{path.relative_to(root)}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()[:12]


def version_problems(versions: Sequence[dict[str, str]], hosts: Sequence[str]) -> list[Problem]:
    """One problem for each name whose version is not the same on all ranks; those with the rarer ones are named."""
    problems = []
    for name in versions[0]:
        values = [str(of_rank.get(name, "none")) for of_rank in versions]
        usual = Counter(values).most_common(1)[0][0]
        odd = [rank for rank, value in enumerate(values) if value != usual]
        if odd:
            other = values[odd[0]]
            mend = "start every rank from one installation, or leave these nodes out"
            message = f"{name} is {usual} on most ranks but {other} on {named(odd, hosts)}: {mend}"
            problems.append(Problem("versions", message, nodes_of(odd, hosts)))
    return problems


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "none"
