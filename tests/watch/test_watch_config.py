"""What the watch and the supervisor refuse to be told."""

import pytest

from mai1.run import cli
from mai1.watch.config import LaunchConfig, WatchConfig
from mai1.watch.faults import ReplicasDifferError


@pytest.mark.parametrize(
    ("config", "changes", "said"),
    [
        (WatchConfig, {"stuck_after_s": -1}, r"watch\.stuck_after_s=-1 must not be negative"),
        (WatchConfig, {"digest_every": -5}, r"watch\.digest_every=-5 must not be negative"),
        (
            WatchConfig,
            {"stuck_after_s": 9, "pause_after_s": 5},
            r"watch\.pause_after_s=5 must be at least watch\.stuck",
        ),
        (WatchConfig, {"straggler_factor": 0.5}, r"watch\.straggler_factor=0\.5 must be above 1: use 1\.5, or 0"),
        (WatchConfig, {"straggler_steps": 0}, r"watch\.straggler_steps=0 must be at least 1"),
        (LaunchConfig, {"ranks": -1}, r"launch\.ranks=-1 must not be negative"),
        (LaunchConfig, {"max_futile_restarts": -1}, r"launch\.max_futile_restarts=-1"),
        (LaunchConfig, {"stop_within_s": 0}, r"launch\.stop_within_s=0 must be above 0"),
    ],
)
def test_mistakes_are_refused_by_name(config, changes, said):
    with pytest.raises(ValueError, match=said):
        config(**changes)


@pytest.mark.parametrize(("error", "code"), [(ReplicasDifferError("rank 1 differs"), 3), (ValueError("wrong"), 2)])
def test_a_final_fault_has_its_code_and_tells_the_launcher(error, code, monkeypatch, tmp_path, capsys):
    def fail(_arguments: list[str]) -> None:
        raise error

    module = type("Command", (), {"main": staticmethod(fail)})
    monkeypatch.setattr(cli.importlib, "import_module", lambda _name: module)
    monkeypatch.setenv("TORCHELASTIC_ERROR_FILE", str(tmp_path / "error.json"))
    with pytest.raises(SystemExit) as ended:
        cli.main(["pretrain"])
    assert ended.value.code == code and capsys.readouterr().err == f"mai1: {error}\n"
    assert f'"message": "{error}"' in (tmp_path / "error.json").read_text()
