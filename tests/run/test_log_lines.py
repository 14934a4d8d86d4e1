"""A log file gets few lines of a bar that a terminal would draw over, all else as it is, and nothing that a terminal obeys."""

import io
import os
import subprocess
import sys

import pytest
from tqdm import tqdm

from mai1.run.log_lines import SECONDS_BETWEEN_BARS, LogLines


class Clock:
    """Time as the test wants it."""

    seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def logged(work, clock: Clock | None = None) -> str:
    """What stands in the file after `work(stream)`."""
    file = io.StringIO()
    with LogLines(file, now=clock or Clock()) as stream:
        work(stream)
    return file.getvalue()


@pytest.mark.parametrize("text", ["a\nb\n", "\n\na\n", "no end", "a\n\n  b\n", "é 吾輩\n"])
def test_text_without_bars_is_written_as_it_is(text: str):
    assert logged(lambda stream: stream.write(text)).removesuffix("\n") == text.removesuffix("\n")
    assert logged(lambda stream: [stream.write(letter) for letter in text]).removesuffix("\n") == text.removesuffix(
        "\n"
    )


def test_a_bar_is_a_line_now_and_then_and_at_its_end():
    clock = Clock()

    def work(stream: LogLines) -> None:
        with tqdm(total=100, file=stream, desc="read", mininterval=0, miniters=1) as bar:
            for _ in range(100):
                clock.seconds += 1
                bar.update()

    lines = logged(work, clock).splitlines()
    assert [line[:9] for line in lines] == ["read:  30", "read:  60", "read:  90", "read: 100"]
    assert not [letter for line in lines for letter in line if ord(letter) < 32]


def test_messages_between_bars_stand_alone_and_at_once():
    file, clock = io.StringIO(), Clock()
    with LogLines(file, now=clock) as stream, tqdm(total=9, file=stream, mininterval=0, leave=False) as bar:
        for step in range(9):
            bar.update()
            tqdm.write(f"step {step}", file=stream)
            assert file.getvalue().endswith(f"step {step}\n")
    assert file.getvalue() == "".join(f"step {step}\n" for step in range(9))


def test_a_message_is_whole_also_where_a_bar_would_be_due():
    clock = Clock()

    def work(stream: LogLines) -> None:
        with tqdm(total=3, file=stream, leave=False, mininterval=0) as bar:
            bar.update()
            clock.seconds += 2 * SECONDS_BETWEEN_BARS
            tqdm.write("held-out loss 2", file=stream)

    lines = logged(work, clock).splitlines()
    assert lines.count("held-out loss 2") == 1 and "" not in lines


def test_nothing_that_a_terminal_obeys_is_left():
    text = logged(lambda stream: stream.write("\x1b[31mred\x1b[0m\x1b[A\x07 \x1b[?25l\n"))
    assert text == "red \n"


def test_a_flush_passes_on_a_line_without_end_but_no_bar():
    file = io.StringIO()
    stream = LogLines(file, now=Clock())
    stream.write("who? ")
    stream.flush()
    assert file.getvalue() == "who? "
    stream.write("\r 10%")
    stream.flush()
    assert file.getvalue() == "who? "


def test_a_command_logs_no_control_characters(tmp_path):
    path = tmp_path / "log"
    code = "import sys\nfrom tqdm import tqdm\nfrom mai1.run import cli\n"
    code += "cli.importlib.import_module = lambda name: type('M', (), {'main': lambda a: list(tqdm(range(9), mininterval=0))})\n"
    code += "cli.main(['report'])"
    with path.open("w") as log:
        done = subprocess.run([sys.executable, "-c", code], stderr=log, timeout=120, env=os.environ | {"COLUMNS": "80"})
    assert done.returncode == 0
    assert path.read_text().count("\n") == 1 and "9/9" in path.read_text() and "\r" not in path.read_text()
