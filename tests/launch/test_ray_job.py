"""The driver on a real local Ray: it starts every node's command, again while that helps, and tells the codes."""

import sys
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.ray_token import RAY_TOKEN

pytest.importorskip("ray")

import ray  # noqa: E402 (needs ray)

from data_prep.engine.config import RayConfig  # noqa: E402
from data_prep.engine.ray_engine import RayEngine  # noqa: E402
from mai1.launch import ray_job  # noqa: E402

pytestmark = pytest.mark.slow
STARTER = """
import sys
from pathlib import Path
number = next(a.partition("=")[2] for a in sys.argv if a.startswith("--number="))
assert any(a.startswith("--head=") for a in sys.argv) and sys.argv[-1] == "it's; touch x"
started = len(list(Path().glob(f"start-{number}-*")))
Path(f"start-{number}-{started}").touch()
sys.exit(int(Path("codes").read_text().split()[started]))
"""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A cluster that nobody else may use, as the data engine starts one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("RAY_AUTH_MODE", raising=False)
        patch.setenv("RAY_AUTH_TOKEN", RAY_TOKEN)
        with RayEngine(tmp_path_factory.mktemp("work"), RayConfig(num_cpus=2), is_quiet=True):
            yield


def drive(folder: Path, codes: str, monkeypatch: pytest.MonkeyPatch) -> int:
    (folder / "starter.py").write_text(STARTER)
    (folder / "codes").write_text(codes)
    monkeypatch.setattr(ray, "init", lambda **_: None)  # the cluster of the fixture
    options = ["--nodes=1", "--cpus=1", "--gpus=0", "--max-restarts=2", f"--directory={folder}"]
    return ray_job.main([*options, "--", sys.executable, "-m", "starter", "--nodes=1", "--", "it's; touch x"])


@pytest.mark.parametrize(("codes", "code", "starts"), [("0", 0, 1), ("1 0", 0, 2), ("2", 2, 1), ("1 1 1 1", 1, 3)])
def test_a_start_is_repeated_while_that_helps(cluster: None, tmp_path: Path, monkeypatch, codes, code, starts):
    assert drive(tmp_path, codes, monkeypatch) == code
    assert len(list(tmp_path.glob("start-0-*"))) == starts and not (tmp_path / "x").exists()


def test_more_than_the_cluster_has_is_said_and_not_tried_again(cluster: None, tmp_path: Path, monkeypatch, capsys):
    monkeypatch.setattr(ray_job, "RESERVE_S", 1)
    given = Namespace(nodes=2, cpus=1, gpus=0, max_restarts=0, directory=str(tmp_path), command=[])
    assert ray_job._start(given) == [2]
    assert "2 nodes with {'CPU': 1} did not come free" in capsys.readouterr().err
