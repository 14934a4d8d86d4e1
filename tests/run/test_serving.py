"""What docs/serving.md says: a release answers over the OpenAI API, with the text that `mai1 generate` writes."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from mai1.run.cli import main
from tests.support.random_checkpoint import write_random_checkpoint

MESSAGES = [
    {"role": "system", "content": "Answer briefly."},
    {"role": "user", "content": "What does `lambda` do?"},
]
NEW_TOKENS = 12
OFFLINE = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1", "OMP_NUM_THREADS": "1"}


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random weights, released by `mai1 export`."""
    folder = write_random_checkpoint(tmp_path_factory.mktemp("checkpoint"))
    output = tmp_path_factory.mktemp("releases") / "tiny"
    with pytest.raises(SystemExit) as ended:
        main(["export", f"checkpoint={folder}", f"output={output}", "dtype=fp32", "prove=false"])
    assert not ended.value.code
    return output


@pytest.fixture(scope="module")
def address(release: Path) -> Iterator[str]:
    """Where `transformers serve` listens; the process and all its children end with the test."""
    pytest.importorskip("fastapi")
    pytest.importorskip("uvicorn")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "transformers.cli.transformers", "serve", str(release), "--device", "cpu"]
    process = subprocess.Popen(
        [*command, "--host", "127.0.0.1", "--port", str(port)],
        env=os.environ | OFFLINE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        wait_until_it_listens(process, f"http://127.0.0.1:{port}/health")
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def wait_until_it_listens(process: subprocess.Popen, health: str, *, timeout_s: float = 300.0) -> None:
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        assert process.poll() is None, process.stdout.read().decode()
        try:
            with urllib.request.urlopen(health, timeout=60.0):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.5)
    raise AssertionError(f"no answer from {health} in {timeout_s} s")


@pytest.mark.slow
def test_transformers_serve_answers_what_generate_writes(release: Path, address: str, tmp_path: Path, capfd):
    openai = pytest.importorskip("openai")
    (tmp_path / "messages.json").write_text(json.dumps(MESSAGES))
    capfd.readouterr()
    with pytest.raises(SystemExit) as ended:
        main(
            ["generate", f"checkpoint={release}", f"messages={tmp_path}/messages.json", "format=json",
             "sampling.temperature=0", f"sampling.max_new_tokens={NEW_TOKENS}"]
        )  # fmt: skip
    assert not ended.value.code
    ours = json.loads(capfd.readouterr().out)
    client = openai.OpenAI(base_url=address, api_key="none", max_retries=0)
    asked = {"model": str(release), "messages": MESSAGES, "max_tokens": NEW_TOKENS, "temperature": 0.0}
    answer = client.chat.completions.create(**asked)
    assert answer.choices[0].message.content == ours["text"] and ours["num_tokens"] > 4
    streamed = "".join(
        part.choices[0].delta.content or "" for part in client.chat.completions.create(**asked, stream=True)
    )
    assert streamed == ours["text"]
