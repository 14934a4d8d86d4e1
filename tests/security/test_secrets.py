"""Keys in the environment of a real run: in none of its files, and not in what it prints, also when it crashes."""

import os
import re
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from mai1.data.stream import TokenStream
from tests.security.conftest import pretraining
from tests.support.commands import run_command

ROOT = Path(__file__).parents[2]
SECRETS = {
    "WANDB_API_KEY": "0123456789abcdef0123456789abcdef01234567",
    "HF_TOKEN": "hf_FakeTokenOfNobodyAtAll0123456789",
    "HUGGING_FACE_HUB_TOKEN": "hf_AnotherFakeTokenOfNobody987654321",
    "AWS_ACCESS_KEY_ID": "AKIAFAKEFAKEFAKEFAKE",
    "AWS_SECRET_ACCESS_KEY": "FakeSecretKeyOfNobody/abcdefghijklmnopqr",
    "GITHUB_TOKEN": "ghp_FakeTokenOfNobodyAtAll0123456789abcd",
    "SOME_PASSWORD": "correct-horse-battery-staple",
}


@pytest.fixture(scope="module")
def watched(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[subprocess.CompletedProcess, Path]:
    """A whole run with wandb's files, in a process of its own, and the directory it had for everything."""
    folder = tmp_path_factory.mktemp("watched")
    home = {name: str(folder / "home") for name in ("HOME", "WANDB_CACHE_DIR", "WANDB_CONFIG_DIR", "WANDB_DATA_DIR")}
    done = subprocess.run(
        [sys.executable, "-m", "mai1", *pretraining(corpus, folder / "runs"), "train.steps=2", "wandb.mode=offline"],
        env=os.environ | SECRETS | home | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "WANDB_SILENT": "true"},
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.returncode == 0, done.stderr
    return done, folder


def test_no_secret_is_in_any_file_of_a_run_or_in_its_output(watched):
    done, folder = watched
    files = [path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]
    names = {path.name for path in files}
    assert {"metrics.jsonl", "environment.json", "report.html", "config.yaml", "run.json"} <= names
    assert any(name.endswith(".wandb") for name in names)
    for name, secret in SECRETS.items():
        for spelling in (secret.encode(), secret.encode().hex().encode(), secret.encode("utf-16-le")):
            assert not [str(path) for path in files if spelling in path.read_bytes()], name
        assert secret not in done.stdout + done.stderr, name


def test_nothing_of_the_environment_or_of_uncommitted_work_is_recorded(watched):
    _, folder = watched
    files = [path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]
    assert not [str(path) for path in files if path.suffix == ".patch" or path.name == "code"]
    text = (folder / "runs" / "r" / "environment.json").read_text()
    assert not re.search("|".join(SECRETS), text)


def _fail_in_mid_run() -> None:
    os.environ.update(SECRETS)

    def failing(self: TokenStream, sample: int) -> object:
        keys = dict(os.environ)
        raise RuntimeError(f"no row {sample} ({len(keys)} variables)")

    TokenStream.read = failing


def test_a_crash_shows_where_and_no_value(corpus: Path, tmp_path: Path):
    ended = run_command(*pretraining(corpus, tmp_path), before=_fail_in_mid_run)
    assert ended.code == 1 and "RuntimeError: no row 0" in ended.err
    said = ended.out + ended.err + "".join(
        path.read_bytes().decode("latin-1") for path in tmp_path.rglob("*") if path.is_file()
    )  # fmt: skip
    assert not [name for name, secret in SECRETS.items() if secret in said]


def _say_what_listens() -> None:
    from mai1.train.trainer import Trainer

    fit = Trainer.fit

    def watched_fit(self: Trainer) -> bool:
        everyone = [c.laddr.ip for c in psutil.Process().net_connections("inet") if c.status == psutil.CONN_LISTEN]
        print(f"LISTENING {sorted(set(everyone))}")
        return fit(self)

    Trainer.fit = watched_fit


def test_a_run_of_one_process_has_no_store_that_others_could_reach(corpus: Path, tmp_path: Path):
    """gloo opens a socket for its own pairs, on one interface; a rendezvous, which anybody could write to, there is none."""
    ended = run_command(*pretraining(corpus, tmp_path), "train.steps=1", before=_say_what_listens)
    assert ended.code == 0, ended.err
    [line] = [line for line in ended.out.splitlines() if line.startswith("LISTENING")]
    assert "'0.0.0.0'" not in line and "'::'" not in line, line
