"""`mai1 chat` and `mai1 generate` as a person uses them, from a pipe and at a terminal."""

import json
import os
import pty
import select
import shutil
import signal
import sys
import time
from pathlib import Path

import pytest

from mai1.generate.compiled_step import CompiledStep
from mai1.run.cli import main
from tests.support.commands import run_command
from tests.support.random_checkpoint import write_random_checkpoint

GREEDY = ("sampling.temperature=0", "sampling.max_new_tokens=6")


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_random_checkpoint(tmp_path_factory.mktemp("checkpoint"))


@pytest.fixture
def chat(checkpoint: Path, monkeypatch: pytest.MonkeyPatch, capfd):
    """Lines in; what went to standard output and standard error."""

    def run(*lines: str, options: tuple[str, ...] = GREEDY) -> tuple[str, str]:
        reader, writer = os.pipe()
        os.write(writer, "".join(line + "\n" for line in lines).encode())
        os.close(writer)
        with os.fdopen(reader) as stdin:
            monkeypatch.setattr("sys.stdin", stdin)
            with pytest.raises(SystemExit) as ended:
                main(["chat", f"checkpoint={checkpoint}", *options])
        assert not ended.value.code
        captured = capfd.readouterr()
        return captured.out, captured.err

    return run


@pytest.mark.skipif(shutil.which("gcc") is None, reason="gcc compiles the kernel")
def test_compiled_kernels_are_at_work_and_answer_the_same(chat, checkpoint: Path, capfd, monkeypatch):
    compute, calls, answers = CompiledStep.__call__, [], {}
    monkeypatch.setattr(CompiledStep, "__call__", lambda *given: calls.append(1) or compute(*given))
    for kernels in ("torch", "compiled"):
        options = (*GREEDY, f"kernels={kernels}")
        chatted, _ = chat("What is a lambda?", options=options)
        with pytest.raises(SystemExit):
            main(["generate", f"checkpoint={checkpoint}", "chat=true", "prompt=What is a lambda?", *options])
        answers[kernels] = (chatted, capfd.readouterr().out)
        assert bool(calls) == (kernels == "compiled")
    assert answers["compiled"] == answers["torch"] and "" not in answers["torch"]


@pytest.mark.parametrize("command", ["chat", "generate"])
def test_compiled_kernels_without_gcc_are_refused_with_the_mend(command: str, checkpoint: Path, capfd, monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(SystemExit) as ended:
        main(
            [command, f"checkpoint={checkpoint}", "kernels=compiled", *(["prompt=x"] if command == "generate" else [])]
        )
    assert ended.value.code == 2
    assert "install gcc, or use kernels=torch" in capfd.readouterr().err


def test_from_a_pipe_every_line_is_answered_and_only_answers_come_out(chat):
    out, err = chat("What is a lambda?", "", "And a number?")
    first, second = out.splitlines()
    assert first and second and first != second and ">" not in err
    assert chat("What is a lambda?")[0].splitlines() == [first]


def test_the_system_message_and_resets_change_what_is_said(chat):
    plain = chat("Why?")[0]
    assert chat("/system Answer in numbers.", "Why?")[0] != plain
    assert chat("/system Answer in numbers.", "/system", "Why?")[0] == plain
    assert chat("What is a lambda?", "/reset", "Why?")[0].splitlines()[-1:] == plain.splitlines()
    assert chat("Why?", options=(*GREEDY, "system=What's (this), a=b?"))[0] != plain


def test_a_conversation_is_saved_once_and_never_over_another_file(chat, tmp_path: Path):
    path = tmp_path / "talk.json"
    out, err = chat("Why?", f"/save {path}", f"/save {path}", "/save")
    assert json.loads(path.read_text())["messages"] == [
        {"role": "user", "content": "Why?"},
        {"role": "assistant", "content": out.removesuffix("\n")},
    ]
    assert "2 messages in" in err and "File exists: name a new file" in err and "/save needs a file's name" in err


def test_commands_say_what_they_did(chat):
    out, err = chat(
        "/regenerate", "/drop", "Why?", "/regenerate", "/stats", "/drop", "/help", "/nothing", "/quit", "no"
    )
    assert len(out.splitlines()) == 2
    for part in ("there is no answer yet", "nothing to forget", "forgotten: Why?", "/regenerate        another answer"):
        assert part in err
    assert "positions; last answer: 6 tokens" in err and "1 were read anew" in err
    assert "/nothing is no command: /help lists them" in err
    assert "cut after sampling.max_new_tokens=6 tokens" in err


def test_a_conversation_that_is_too_long_is_said_and_goes_on_after_forgetting(chat):
    long = "number " * 100
    out, err = chat(long, long, long, "/drop", "Why?")
    assert "positions" in err and "/drop forgets the oldest question" in err
    assert out.splitlines()[-1]


def test_lines_joined_by_backslashes_are_one_question(chat):
    assert len(chat("What\\", "is\\", "this?")[0].splitlines()) == 1
    assert len(chat("an end \\")[0].splitlines()) == 1


def test_what_the_model_writes_is_never_obeyed(chat, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("mai1.tokenizer.tokenizer.Tokenizer.decode", lambda self, ids: "\x1b[2J" * len(ids))
    out, _ = chat("Why?")
    assert "\x1b" not in out and out.count("\\x1b[2J") == 6


def _at_a_terminal(checkpoint: Path, steps: list[tuple[str, str]], *options: str) -> str:
    """Types each step's second part once its first part is shown; `^C` is the key."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.environ |= {"OMP_NUM_THREADS": "1", "TERM": "dumb", "PYTHONPATH": str(Path(__file__).parents[2])}
        os.execv(sys.executable, [sys.executable, "-m", "mai1", "chat", f"checkpoint={checkpoint}", *options])
    shown, seen, deadline, at_prompt = "", 0, time.monotonic() + 180, False
    try:
        for waited_for, typed in [*steps, ("", "")]:
            while waited_for not in shown[seen:] or not waited_for:
                assert time.monotonic() < deadline, shown
                if not select.select([terminal], [], [], 3.0)[0]:
                    if at_prompt:  # readline does not see a key that comes just before it begins to wait
                        os.write(terminal, b"\x03")
                    continue
                try:
                    part = os.read(terminal, 4096)
                except OSError:  # the program has ended
                    part = b""
                if not part:
                    return shown
                shown += part.decode(errors="replace")
            seen = len(shown)
            at_prompt = waited_for == "> " and typed == "^C"
            os.write(terminal, b"\x03" if typed == "^C" else f"{typed}\n".encode())
        return shown
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(terminal)


@pytest.mark.slow
def test_ctrl_c_ends_the_answer_and_not_the_program(tmp_path_factory: pytest.TempPathFactory):
    endless = write_random_checkpoint(tmp_path_factory.mktemp("endless"), max_positions=10**5)
    steps = [("> ", "^C"), ("> ", "Why?"), ("\n", "^C"), ("> ", "/stats"), ("last answer", "/quit")]
    shown = _at_a_terminal(endless, steps, "sampling.max_new_tokens=90000", "sampling.temperature=1.0")
    assert "Traceback" not in shown and "positions; last answer" in shown


def test_texts_come_as_json_with_samples_and_probabilities(checkpoint: Path, tmp_path: Path):
    prompts = tmp_path / "prompts.jsonl"
    prompts.write_text('{"prompt": "The lambda"}\n{"prompt": "A number", "more": 1}\n')
    output = tmp_path / "texts.jsonl"
    done = run_command(
        "generate", f"checkpoint={checkpoint}", f"prompts={prompts}", f"output={output}", "samples=3",
        "log_probabilities=true", "sampling.max_new_tokens=5", "rows_at_once=4",
    )  # fmt: skip
    assert done.code == 0 and done.out == "", done.err
    records = [json.loads(line) for line in output.read_text().splitlines()]
    assert [(record["prompt"], record["sample"]) for record in records] == [(p, s) for p in (0, 1) for s in (0, 1, 2)]
    assert len({record["text"] for record in records}) > 3
    for record in records:
        assert len(record["tokens"]) == len(record["log_probabilities"]) == record["num_tokens"] <= 5
        assert record["text"] == "".join(record["tokens"]) and record["ending"] in ("stop", "length")


@pytest.mark.parametrize(
    ("options", "parts"),
    [
        (("prompt=a", "prompts=b"), ["prompt, messages and prompts: give exactly one"]),
        (("prompts=/nowhere.txt",), ["prompts=/nowhere.txt is no file"]),
        (("prompt=a", "samples=0"), ["samples=0 must be at least 1"]),
        (("prompt=a", "samples=2", "sampling.temperature=0"), ["samples=2 are all alike with sampling.temperature=0"]),
        (("prompt=a", "log_probabilities=true"), ["use format=json, or output=FILE"]),
        (("prompt=a", "stop=['']"), ["stop holds an empty string"]),
        (("prompt=a", "sampling.min_p=2"), ["sampling.min_p=2", "must be at least 0 and below 1"]),
        (("prompt=a", "sampling.max_new_tokens=400"), ["sampling.max_new_tokens=400 exceed the model's 256 positions"]),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(checkpoint: Path, capfd, options: tuple[str, ...], parts: list[str]):
    with pytest.raises(SystemExit) as ended:
        main(["generate", f"checkpoint={checkpoint}", *options])
    shown = capfd.readouterr().err.splitlines()[-1]
    assert ended.value.code == 2 and [part for part in parts if part not in shown] == []


@pytest.mark.parametrize("content", ["", "{}", '{"prompt": 3}', "[1]", "not json"])
def test_a_file_without_prompts_is_refused_by_its_line(checkpoint: Path, tmp_path: Path, capfd, content: str):
    (tmp_path / "prompts.jsonl").write_text(content + "\n")
    with pytest.raises(SystemExit) as ended:
        main(["generate", f"checkpoint={checkpoint}", f"prompts={tmp_path}/prompts.jsonl"])
    assert ended.value.code == 2 and "prompts.jsonl" in capfd.readouterr().err


def test_a_stop_string_cuts_the_text(checkpoint: Path, capfd):
    def text(*options: str) -> str:
        with pytest.raises(SystemExit) as ended:
            main(["generate", f"checkpoint={checkpoint}", "prompt=The", *GREEDY, *options])
        assert not ended.value.code
        return capfd.readouterr().out.removesuffix("\n")

    whole = text()
    stop = whole[3:5]
    assert text(f"stop=['{stop}']") == whole[: whole.index(stop)] and stop.isalpha()
