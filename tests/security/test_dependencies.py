"""What we depend on is past the advisories we know of, and loads nothing that could run code for us."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

FLOORS = {
    "torch": ("2.10.0", "CVE-2025-32434, CVE-2026-24747: the unpickler behind weights_only"),
    "transformers": ("5.3.0", "CVE-2026-4372, CVE-2026-1839, CVE-2026-5241: code run from configuration files"),
    "deepspeed": ("0.15.1", "CVE-2024-43497"),
    "sentencepiece": ("0.2.1", "CVE-2026-1260: malicious model files"),
    "hydra-core": ("1.3.8", "GHSA-37p2-j732-x8pj: what instantiate refuses could be reached by another name"),
    "pyarrow": (
        "24.0",
        "CVE-2023-47248, CVE-2024-52338: code run from files; CVE-2026-25087: memory of Arrow C++ 15 to 23",
    ),
    "datasets": ("4.0.0", "scripts of data sets are not run any more"),
    "jinja2": ("3.1.6", "CVE-2024-56326, CVE-2025-27516: ways out of the sandbox"),
}
"""First release without the fault."""


def _wanted() -> dict[str, Requirement]:
    project = tomllib.loads(Path("pyproject.toml").read_text())["project"]
    return {r.name: r for r in map(Requirement, project["dependencies"])}


def _pinned() -> dict[str, Version]:
    lines = re.findall(r"^([A-Za-z0-9_.-]+)==(\S+)$", Path("constraints.txt").read_text(), re.MULTILINE)
    return {canonicalize_name(name): Version(version) for name, version in lines}


@pytest.mark.parametrize("name", FLOORS)
def test_no_release_with_a_known_fault_can_be_installed(name: str):
    floor = Version(FLOORS[name][0])
    wanted = _wanted()[name]
    assert _pinned()[name] >= floor
    lowest = [Version(s.version) for s in wanted.specifier if s.operator in (">=", "==")]
    assert lowest and min(lowest) >= floor, f"{wanted}: {FLOORS[name][1]}"


def test_everything_that_is_installed_for_tests_is_pinned():
    project = tomllib.loads(Path("pyproject.toml").read_text())["project"]
    needed = project["dependencies"] + [r for extra in project["optional-dependencies"].values() for r in extra]
    assert {canonicalize_name(Requirement(r).name) for r in needed} - {project["name"]} <= _pinned().keys()


def test_the_page_on_security_states_the_same_floors():
    page = Path("SECURITY.md").read_text()
    for name, (floor, advisory) in FLOORS.items():
        assert re.search(rf"\| {re.escape(name)} \| {re.escape(floor)} \|", page), name
        assert all(number in page for number in re.findall(r"(?:CVE|GHSA)-[\w-]+", advisory)), name


def test_every_test_that_the_page_names_exists():
    page = Path("SECURITY.md").read_text()
    tests = "\n".join(path.read_text() for path in Path("tests").rglob("*.py"))
    named = set(re.findall(r"`(test_\w+)`", page))
    assert len(named) > 20 and not [name for name in named if f"def {name}(" not in tests]
