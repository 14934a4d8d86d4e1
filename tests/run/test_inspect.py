"""`mai1 inspect` on a run, a checkpoint and a Hugging Face directory; the run also shows its self-check."""

import html
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from mai1.checkpoint.inference import load_model
from mai1.data.batch import Row, collate
from mai1.evaluate.choices import expert_choices
from mai1.tokenizer.tokenizer import Tokenizer
from tests.run.conftest import TINY_RUN
from tests.support.commands import run_command


def pretrain(*arguments: str) -> str:
    """Train in a process of its own; what it says."""
    done = run_command("pretrain", *arguments)
    assert done.code == 0, done.err
    return done.err


@pytest.fixture(scope="module")
def run(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two launches, of which only the first checks itself."""
    runs = tmp_path_factory.mktemp("inspected")
    settings = [*TINY_RUN, f"data.path={corpus}", f"run.directory={runs}", "run.name=spruce"]
    first = pretrain(*settings, "train.stop_after_steps=3")
    assert re.search(
        r"^self-check: dispatch = dense to \de-\d, 4 experts distinct, balancing moves the router, doc", first, re.M
    )
    assert "self-check" not in pretrain(*settings, "train.self_check=false")
    return runs / "spruce"


@pytest.fixture(scope="module")
def checkpoint(run: Path) -> Path:
    return (run / "checkpoints" / "latest").resolve()


def files_in(folder: Path) -> dict[str, int]:
    return {str(path): path.stat().st_mtime_ns for path in sorted(folder.rglob("*")) if path.is_file()}


def shown_text(page: str) -> str:
    """The coloured text of the first layer, as a reader sees it."""
    panel = page.split('class="panel')[1]
    spans = re.findall(r'<span class="x\d+" data-tip="[^"]*">([^<]*)</span>', panel)
    return html.unescape("".join(spans)).replace("↵\n", "\n").replace("⇥\t", "\t")


def test_choices_equal_those_of_each_row_alone(checkpoint: Path):
    model, tokenizer = load_model(checkpoint), Tokenizer.load(checkpoint)
    rng, rows = np.random.default_rng(0), []
    for num_valid in (33, 20, 33, 7, 1):
        ids = rng.integers(0, 500, 33)
        ids[[0, 5]] = tokenizer.end_of_text_id  # two documents
        rows.append(Row(ids, np.zeros(33, dtype=np.uint8), num_valid=num_valid))
    found = expert_choices(model, rows, rows_at_once=2, end_of_text_id=tokenizer.end_of_text_id)
    tokens, experts, weights = [], [], []
    for row in rows:
        length = min(row.num_valid, 32)
        alone = Row(row.ids[: length + 1], row.loss_mask[: length + 1], num_valid=length + 1)
        batch = collate([alone], end_of_text_id=tokenizer.end_of_text_id)
        with torch.no_grad():
            routing = model(batch.tokens_BT, positions_BT=batch.positions_BT, segments_BT=batch.segments_BT).routings[1]
        tokens += row.ids[:length].tolist()
        experts += routing.experts_NK.tolist()
        weights += routing.weights_NK.tolist()
    assert list(found.layers) == [1]
    assert found.tokens_N.tolist() == tokens
    assert found.layers[1].experts_NK.tolist() == experts
    np.testing.assert_allclose(found.layers[1].weights_NK, weights, atol=1e-6)


def test_a_run_is_surveyed_on_the_held_out_text_of_its_data(mai1, run, corpus, checkpoint):
    before = files_in(checkpoint)
    done = mai1("inspect", f"checkpoint={run}", "sequence_length=64", "max_tokens=640")
    assert done.code == 0, done.err
    assert done.out.strip() == str(run / "inspect.html")
    page = (run / "inspect.html").read_text(encoding="utf-8")
    assert "spruce, step_00000006" in page and "held-out text, 1 source" in page and "Glm4MoeForCausalLM" in page
    assert '<span class="value">640</span>' in page
    assert shown_text(page).startswith("<|endoftext|>") and len(shown_text(page)) > 100
    assert files_in(checkpoint) == before


def test_a_text_is_shown_as_written_and_experts_surveyed_on_held_out_text(mai1, run, checkpoint, tmp_path):
    text = "if a<b:\n\treturn 'über' & \"more\"  # <script>alert(1)</script>, x=[1, 2]"
    page = tmp_path / "page.html"
    ask = ("inspect", f"checkpoint={checkpoint}", f"output={page}", "sequence_length=64", "max_tokens=640")
    done = mai1(*ask, f"text={text}")
    assert done.code == 0, done.err
    content = page.read_text(encoding="utf-8")
    shown = re.sub(r"<0x(..)>", lambda found: chr(int(found[1], 16)), shown_text(content))
    assert shown.encode("latin-1").decode() == "<|endoftext|>" + text
    assert content.count("<script>") == 1 and "held-out text, 1 source" in content
    ids = Tokenizer.load(checkpoint).encode(text)
    assert content.split('id="tokens"')[1].count("<tr>") == 1 + 1 + len(ids)

    file = tmp_path / "text.txt"
    file.write_text(text, encoding="utf-8")
    assert mai1(*ask, f"text_file={file}").code == 0
    assert page.read_text(encoding="utf-8") == content.replace("<h4>text</h4>", "<h4>text.txt</h4>")
    assert mai1(*ask, f"text_file={file}", "data=''").code == 0
    alone = page.read_text(encoding="utf-8")
    assert "the text itself" in alone and f'<span class="value">{len(ids) + 1}</span>' in alone


def test_a_long_text_is_cut_and_the_page_says_where(mai1, checkpoint, tmp_path):
    page = tmp_path / "page.html"
    text = "for x in y: print(x)\n" * 50
    done = mai1("inspect", f"checkpoint={checkpoint}", f"output={page}", f"text={text}", "data=''",
                "sequence_length=64", "max_tokens=150", "min_count=3")  # fmt: skip
    assert done.code == 0, done.err
    content, num_tokens = page.read_text(), len(Tokenizer.load(checkpoint).encode(text)) + 1
    assert f"The text has {num_tokens:,} tokens; the first 150 are looked at" in content
    assert "pieces of 64 tokens" in content and "at least 3 times" in content
    assert '<span class="value">150</span>' in content
    assert ("<|endoftext|>" + text).startswith(shown_text(content))


def test_a_copy_outside_a_run_gets_its_page_beside_it(mai1, checkpoint, tmp_path):
    copy = tmp_path / "mine"
    shutil.copytree(checkpoint, copy, ignore=shutil.ignore_patterns("trainer", "manifest.json"))
    before = files_in(copy)
    done = mai1("inspect", f"checkpoint={copy}", "text=Hello world", "sequence_length=64")
    assert done.code == 0, done.err
    assert done.out.strip() == str(tmp_path / "mine-inspect.html") and (tmp_path / "mine-inspect.html").is_file()
    assert files_in(copy) == before


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["text=a", "text_file=b"], ["text and text_file", "only one"]),
        (["text_file=/nowhere/x.txt"], ["text_file=/nowhere/x.txt", "No such file", "UTF-8"]),
        (["data=''"], ["nothing to look at", "text='...'"]),
        (["data=/nowhere"], ["/nowhere", "mai1 prepare"]),
        (["text=a", "sequence_length=100000"], ["sequence_length=100000", "1024 positions"]),
        (["text=a", "sequence_length=1"], ["sequence_length=1", "at least 2"]),
        (["text=a", "max_tokens=0"], ["max_tokens=0", "at least 2"]),
        (["text=a", "min_count=0"], ["min_count=0", "at least 1"]),
        (["text=a", "output=/nowhere/page.html"], ["output=/nowhere/page.html", "directory that exists"]),
        (["text=a", "output=/"], ["output=/", "file"]),
        (["text=a", "checkpoint=/nowhere"], ["checkpoint=/nowhere", "no checkpoint"]),
        (["txt=a"], ["txt is no key of `mai1 inspect`", "text"]),
    ],
)
def test_a_mistake_is_named_with_its_mend(mai1, checkpoint, arguments, words):
    done = mai1("inspect", f"checkpoint={checkpoint}", *arguments)
    assert done.code == 2, (done.out, done.err)
    [line] = [line for line in done.err.splitlines() if line.startswith("mai1: ")]
    assert [word for word in words if word not in line] == [], line


def test_a_page_is_never_written_into_a_checkpoint(mai1, run, checkpoint, tmp_path):
    copy = tmp_path / "foreign"
    shutil.copytree(checkpoint, copy, ignore=shutil.ignore_patterns("manifest.json"))
    inside = [checkpoint / "page.html", run / "checkpoints" / "latest" / "page.html", checkpoint / "trainer" / "x.html"]
    for inspected, place in [
        *((run, place) for place in inside),
        (copy, checkpoint / "x.html"),
        (copy, copy / "x.html"),
    ]:
        done = mai1("inspect", f"checkpoint={inspected}", "text=a", f"output={place}")
        assert done.code == 2 and "inside a checkpoint" in done.err
        assert not place.exists()


def test_a_text_file_that_is_no_text_is_refused(mai1, checkpoint, tmp_path):
    for content, word in ((b"", "is empty"), (b"abc\xff", "not UTF-8 at byte 3")):
        (tmp_path / "x").write_bytes(content)
        done = mai1("inspect", f"checkpoint={checkpoint}", f"text_file={tmp_path / 'x'}")
        assert done.code == 2 and word in done.err


def test_data_of_another_tokenizer_is_refused(mai1, checkpoint, corpus, tmp_path, texts):
    made = mai1("prepare", f"output={tmp_path / 'other'}", f"sources={{a: {{path: {texts}}}}}", "tokenizer.vocab_size=500",
                "heldout_fraction=0.1", "workers=1")  # fmt: skip
    assert made.code == 0, made.err
    done = mai1("inspect", f"checkpoint={checkpoint}", f"data={tmp_path / 'other'}", "sequence_length=64")
    assert done.code == 2 and "another tokenizer" in done.err


def test_help_lists_every_key(mai1):
    shown = mai1("inspect", "--help")
    assert shown.code == 0
    for key in ("checkpoint=", "text=", "text_file=", "data=auto", "max_tokens=20000", "min_count=5", "output="):
        assert key in shown.out
