import sys
from pathlib import Path

import pytest

from data_prep.engine.config import EngineKind, EngineOptions, RayConfig, SlurmConfig
from data_prep.engine.local import LocalEngine
from data_prep.engine.slurm import SlurmEngine
from data_prep.engine.start import make_engine


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"partition": "a b"}, r"partition='a b' must be letters"),
        ({"partition": "a=b"}, r"partition='a=b' must be letters"),
        ({"options": {"wrap": "touch x"}}, r"options\.wrap must be one of account, "),
        ({"options": {"account": "$(x)"}}, r"options\.account='\$\(x\)' must be letters"),
        ({"options": {"account": ""}}, r"options\.account='' must be letters"),
        ({"modules": ["a; touch x"]}, r"modules='a; touch x' must name a module"),
        ({"modules": ["-f"]}, r"modules='-f' must name a module"),
        ({"time_limit": "tomorrow"}, r"time_limit='tomorrow' must be minutes, HH:MM:SS or D-HH:MM:SS"),
        ({"max_elements": 0}, r"max_elements=0 must be at least 1"),
        ({"max_running": -1}, r"max_running=-1 must be at least 0"),
        ({"poll_s": 0.0}, r"poll_s=0\.0 must be at least 0\.1"),
        ({"settle_s": -1.0}, r"settle_s=-1\.0 must be at least 0\.0"),
    ],
)
def test_wrong_settings_are_refused(changes: dict, says: str):
    with pytest.raises(ValueError, match=rf"^engine_options\.slurm\.{says}"):
        SlurmConfig(**changes)


def test_a_cluster_is_started_or_joined_not_both():
    with pytest.raises(ValueError, match=r"ray\.num_cpus=2 is of a cluster started here, but address=auto"):
        RayConfig(address="auto", num_cpus=2)
    with pytest.raises(ValueError, match=r"ray\.num_cpus=-1 must be at least 0"):
        RayConfig(num_cpus=-1)
    with pytest.raises(ValueError, match=r"ray\.address=ray://x must be auto or HOST:PORT"):
        RayConfig(address="ray://x")


def test_the_configuration_decides_the_engine(tmp_path: Path):
    common = {"options": EngineOptions(), "num_workers": 3, "is_quiet": True}
    local = make_engine(EngineKind.local, tmp_path, **common)
    assert isinstance(local, LocalEngine) and local.num_workers == 3
    assert isinstance(make_engine(EngineKind.slurm, tmp_path, **common), SlurmEngine)
    assert make_engine(EngineKind.ray, tmp_path, **common).config == RayConfig()


def test_without_ray_its_engine_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delitem(sys.modules, "data_prep.engine.ray_engine", raising=False)
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ValueError, match="^engine=ray needs the package ray: install it, or choose another"):
        make_engine(EngineKind.ray, tmp_path, options=EngineOptions(), num_workers=1, is_quiet=True)
