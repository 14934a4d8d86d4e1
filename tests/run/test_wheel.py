"""Installed as a wheel, mai1 works from any directory: every command and every config."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_an_installed_wheel_has_every_command_config_and_kernel(tmp_path):
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "-q"]
    built = [*pip, "wheel", "--no-deps", "--no-build-isolation", "-w", str(tmp_path), str(ROOT)]
    subprocess.run(built, check=True, capture_output=True, timeout=300)
    (wheel,) = tmp_path.glob("mai1-*.whl")
    subprocess.run([*pip, "install", "--no-deps", "--no-index", "-t", str(tmp_path / "site"), str(wheel)], check=True)
    assert sorted(p.relative_to(ROOT / "configs") for p in (ROOT / "configs").rglob("*.yaml")) == sorted(
        p.relative_to(tmp_path / "site/mai1/configs") for p in (tmp_path / "site/mai1/configs").rglob("*.yaml")
    )
    for kernel in ("mai1/generate/step.c", "mai1/model/moe/experts.c", "mai1/model/vectors.h"):
        assert (tmp_path / "site" / kernel).read_bytes() == (ROOT / kernel).read_bytes()
    environment = os.environ | {"PYTHONPATH": str(tmp_path / "site")}
    for command in ("prepare", "pretrain", "sft", "generate", "evaluate"):
        shown = subprocess.run(
            [sys.executable, "-m", "mai1", command, "--help"],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
        )
        assert shown.returncode == 0 and "keys and their defaults" in shown.stdout, shown.stderr
