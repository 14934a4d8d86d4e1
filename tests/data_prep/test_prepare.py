import hashlib
import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from unittest.mock import ANY

import numpy as np
import pytest

from data_prep.config import ErrorConfig, PrepareConfig
from data_prep.instruct import InstructConfig, InstructSourceConfig
from data_prep.reading.source import SourceConfig
from data_prep.scores.config import ScorerConfig, ScorerKind, ScoresConfig
from data_prep.scores.importance import ImportanceConfig
from data_prep.scores.keep import KeepConfig
from data_prep.scores.prior import PriorConfig
from data_prep.splitting import HeldoutKind
from data_prep.stages.basic import BasicConfig
from data_prep.stages.c4 import C4Config
from data_prep.stages.pii import PiiConfig
from data_prep.stages.rules import RulesConfig
from data_prep.staging import Staging
from mai1.data.shards import Shard
from mai1.tokenizer.tokenizer import Tokenizer
from mai1.tokenizer.training import TokenizerConfig, TokenizerKind

ROOT = Path(__file__).parents[2]


def texts_of(output: Path, split: str, name: str = "books") -> list[str]:
    tokenizer = Tokenizer.load(output / "tokenizer")
    shard = Shard.open(output / split / name)
    shard.verify()
    documents = [shard.document(i).tolist() for i in range(shard.num_documents)]
    assert all(ids[-1] == tokenizer.end_of_text_id for ids in documents)
    return [tokenizer.decode(ids[:-1]) for ids in documents]


def hashes_of(output: Path) -> dict[str, str]:
    files = [path for path in output.rglob("*") if path.is_file()]
    return {str(p.relative_to(output)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def test_every_document_is_in_train_or_heldout_and_nowhere_twice(run, make_text, books: Path, tmp_path: Path):
    manifest = run(books)
    train, heldout = texts_of(tmp_path / "out", "train"), texts_of(tmp_path / "out", "heldout")
    assert sorted(train + heldout) == sorted(make_text(i) for i in range(60))
    assert not set(train) & set(heldout)
    assert manifest["sources"]["books"]["heldout"]["documents"] == len(heldout) > 3


def test_the_output_is_complete_and_agrees_with_its_manifest(run, make_text, books: Path, tmp_path: Path):
    manifest = run(books)
    output = tmp_path / "out"
    assert json.loads((output / "manifest.json").read_text()) == manifest
    assert sorted(p.name for p in output.iterdir()) == [
        "curation.json", "dropped_samples.jsonl", "heldout", "inputs.txt", "kept_samples.jsonl",
        "manifest.json", "tokenizer", "train",
    ]  # fmt: skip
    tokenizer, shard = Tokenizer.load(output / "tokenizer"), Shard.open(output / "train" / "books")
    assert manifest["tokenizer_hash"] == tokenizer.hash == shard.manifest["tokenizer_hash"]
    assert manifest["vocab_size"] == tokenizer.vocabulary.size == shard.manifest["vocab_size"]
    assert shard.manifest["split"] == "train" and shard.manifest["source"] == "books"
    assert shard.manifest["bytes"] == sum(len(t.encode()) for t in texts_of(output, "train"))
    assert manifest["totals"]["bytes"] == sum(len(make_text(i).encode()) for i in range(60))


def test_nothing_is_left_beside_the_output(run, books: Path, tmp_path: Path):
    run(books)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["books.jsonl", "out"]


def test_one_worker_and_two_write_the_same_bytes(run, books: Path, tmp_path: Path):
    sources = {"books": books, "topics": SourceConfig(path="embedded:docs", max_bytes=200_000)}
    for name, workers in (("one", 1), ("two", 2)):
        run(sources, output=str(tmp_path / name), workers=workers, tokenizer=TokenizerConfig(vocab_size=600))
    assert hashes_of(tmp_path / "one") == hashes_of(tmp_path / "two")


def test_the_split_does_not_depend_on_the_order_of_documents(run, books: Path, tmp_path: Path):
    run(books)
    turned = tmp_path / "turned.jsonl"
    turned.write_text("".join(reversed(books.read_text().splitlines(keepends=True))))
    run(turned, output=str(tmp_path / "turned"))
    assert set(texts_of(tmp_path / "out", "heldout")) == set(texts_of(tmp_path / "turned", "heldout"))


def test_another_seed_holds_out_other_documents(run, books: Path, tmp_path: Path):
    run(books)
    run(books, output=str(tmp_path / "other"), seed=1)
    assert set(texts_of(tmp_path / "out", "heldout")) != set(texts_of(tmp_path / "other", "heldout"))


def test_duplicates_are_kept_once_and_never_on_both_sides(run, make_text, tmp_path: Path):
    for name in ("a", "b"):
        lines = [json.dumps({"text": make_text(i) + (" \n" if name == "b" else "")}) for i in range(40)]
        (tmp_path / f"{name}.jsonl").write_text("\n".join(lines * 2))
    manifest = run({"both": str(tmp_path / "[ab].jsonl")})
    assert manifest["sources"]["both"]["dropped"]["dedup.exact"]["documents"] == 120
    sides = [texts_of(tmp_path / "out", split, "both") for split in ("train", "heldout")]
    assert len(sides[0]) + len(sides[1]) == 40 and not set(sides[0]) & set(sides[1])


def test_each_reason_is_counted_and_counts_add_up_to_documents_read(run, make_text, tmp_path: Path):
    texts = {
        "basic.too_short": "Tiny text.",
        "basic.too_long": make_text(1000, num_words=3000),
        "basic.long_line": "word " * 150 + "\n",
        "basic.few_letters": "+-*/ 12 == ;; " * 10 + "\n",
        "basic.many_digits": "word1234 text987 " * 6 + "\n",
        "basic.repeated_lines": "the same line again\n" * 20,
        "basic.empty": " \n ",
        "dedup.exact": make_text(0),
    }
    good = [make_text(i) for i in range(10)]
    lines = [json.dumps({"text": text}) for text in [*good, *texts.values()]]
    (tmp_path / "mixed.jsonl").write_text("\n".join(lines))
    rules = RulesConfig(basic=BasicConfig(max_characters=5000, max_line_characters=700))
    source = run(tmp_path / "mixed.jsonl", rules=rules)["sources"]["books"]
    assert {reason: count["documents"] for reason, count in source["dropped"].items()} == dict.fromkeys(texts, 1)
    dropped = sum(count["documents"] for count in source["dropped"].values())
    assert source["read"] == 18 == source["train"]["documents"] + source["heldout"]["documents"] + dropped
    samples = [json.loads(line) for line in (tmp_path / "out" / "dropped_samples.jsonl").read_text().splitlines()]
    assert {sample["reason"] for sample in samples} == set(texts)
    assert max(len(sample["text"]) for sample in samples) <= 400


def test_max_bytes_takes_an_even_sample_that_fits(run, books: Path, tmp_path: Path):
    source = run(books, max_bytes=8000)["sources"]["books"]
    taken = texts_of(tmp_path / "out", "train") + texts_of(tmp_path / "out", "heldout")
    assert 6500 < sum(len(t.encode()) for t in taken) <= 8000
    numbers = [int(text.split(".")[0].split()[1]) for text in taken]
    assert min(numbers) < 15 and max(numbers) > 45
    assert source["read"] == 60 == len(taken) + source["dropped"]["limit.max_bytes"]["documents"]


def test_max_bytes_is_shared_and_small_sources_pass_on_their_rest(run, make_text, tmp_path: Path):
    for name, numbers in (("small", range(4)), ("large", range(100, 200))):
        (tmp_path / f"{name}.jsonl").write_text("\n".join(json.dumps({"text": make_text(i)}) for i in numbers))
    small = sum(len(make_text(i).encode()) for i in range(4))
    sources = run({n: tmp_path / f"{n}.jsonl" for n in ("large", "small")}, max_bytes=10_000)["sources"]
    used = {name: sources[name]["train"]["bytes"] + sources[name]["heldout"]["bytes"] for name in sources}
    assert used["small"] == small and 9000 - small < used["large"] <= 10_000 - small


def test_tail_holds_out_the_end_of_one_long_text(run, make_text, tmp_path: Path):
    text = "".join(make_text(i) for i in range(50))
    (tmp_path / "one.txt").write_text(text)
    run(tmp_path / "one.txt", heldout=HeldoutKind.tail, heldout_fraction=0.1)
    train, heldout = texts_of(tmp_path / "out", "train"), texts_of(tmp_path / "out", "heldout")
    assert train == [text[: int(0.9 * len(text))]] and train[0] + heldout[0] == text


def test_a_long_document_is_encoded_in_segments_and_written_as_one(run, make_text, tmp_path: Path, monkeypatch):
    text = "".join(make_text(i) for i in range(50))
    (tmp_path / "one.txt").write_text(text)
    run(tmp_path / "one.txt", heldout=HeldoutKind.tail)
    monkeypatch.setattr("mai1.tokenizer.sentencepiece_model.SEGMENT_CHARACTERS", 100)
    run(tmp_path / "one.txt", heldout=HeldoutKind.tail, output=str(tmp_path / "cut"))
    assert hashes_of(tmp_path / "out") == hashes_of(tmp_path / "cut")


def test_char_tokenizer_gives_one_token_a_character(run, make_text, tmp_path: Path):
    text = "".join(make_text(i) for i in range(50))
    (tmp_path / "one.txt").write_text(text)
    config = TokenizerConfig(kind=TokenizerKind.char, vocab_size=1000)
    manifest = run(tmp_path / "one.txt", heldout=HeldoutKind.tail, tokenizer=config)
    assert manifest["totals"]["tokens"] == len(text) + 2  # end of text after each part


def test_no_heldout_is_possible(run, books: Path, tmp_path: Path):
    run(books, heldout_fraction=0.0)
    assert not (tmp_path / "out" / "heldout" / "books.idx").exists()
    assert len(texts_of(tmp_path / "out", "train")) == 60


def test_a_tokenizer_can_be_taken_from_another_corpus(run, books: Path, tmp_path: Path):
    first = run(books)
    for place in (tmp_path / "out", tmp_path / "out" / "tokenizer"):
        output = tmp_path / f"from_{place.name}"
        second = run(books, output=str(output), tokenizer_from=str(place), seed=3)
        assert second["tokenizer_hash"] == first["tokenizer_hash"]


def test_a_finished_corpus_is_recognised_and_left_alone(run, books: Path, tmp_path: Path, capsys):
    first = run(books)
    before = {p: p.stat().st_mtime_ns for p in (tmp_path / "out").rglob("*")}
    assert run(books, workers=2, overwrite=True) == first
    assert {p: p.stat().st_mtime_ns for p in (tmp_path / "out").rglob("*")} == before
    assert "already prepared from these settings and inputs" in capsys.readouterr().err


def test_changed_settings_or_inputs_need_overwrite(run, make_text, books: Path, tmp_path: Path):
    run(books)
    with pytest.raises(ValueError, match=r"output=.*out already holds a corpus .* set overwrite=true"):
        run(books, seed=5)
    books.write_text(books.read_text() + json.dumps({"text": make_text(77)}) + "\n")
    with pytest.raises(ValueError, match="already holds a corpus of other settings or inputs"):
        run(books)
    assert run(books, overwrite=True)["totals"]["documents"] == 61
    assert sorted(p.name for p in tmp_path.iterdir()) == ["books.jsonl", "out"]


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_directory_of_something_else_is_never_touched(run, books: Path, tmp_path: Path, overwrite: bool):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.txt").write_text("dear")
    with pytest.raises(ValueError, match="already holds something that is no prepared corpus: choose another"):
        run(books, overwrite=overwrite)
    assert (tmp_path / "out" / "thesis.txt").read_text() == "dear"


def test_broken_lines_are_counted_and_the_rest_goes_on(run, books: Path, tmp_path: Path):
    with open(books, "a") as file:
        file.write('{broken\n{"other": "field"}\n')
    source = run(books)["sources"]["books"]
    assert source["read"] == 60 and source["bad"] == {"input.no_field": 1, "input.not_json": 1}
    samples = [json.loads(line) for line in (tmp_path / "out" / "dropped_samples.jsonl").read_text().splitlines()]
    assert {sample["name"].rpartition(":")[2] for sample in samples if sample["reason"] in source["bad"]} == {
        "61",
        "62",
    }


def test_too_much_broken_input_stops_the_run_and_names_it(run, books: Path, tmp_path: Path):
    with open(books, "a") as file:
        file.write("{broken\n" * 4)
    with pytest.raises(
        ValueError, match=r"4 of 64 documents cannot be read \(4 input.not_json\), such as .*:6\d: .*max_fraction"
    ):
        run(books)
    assert not (tmp_path / "out").exists()
    assert run(books, errors=ErrorConfig(max_fraction=0.1))["sources"]["books"]["bad"] == {"input.not_json": 4}


def test_a_killed_run_leaves_no_output_and_the_next_one_continues_it(tmp_path: Path):
    code = (
        "from data_prep.config import ErrorConfig, PrepareConfig\nfrom data_prep.prepare import prepare\n"
        "from data_prep.reading.source import SourceConfig\n"
        "if __name__ == '__main__':\n"
        "    sources = {'code': SourceConfig(path='embedded:code')}\n"
        f"    prepare(PrepareConfig(output={str(tmp_path / 'out')!r}, sources=sources, workers=2))\n"
    )
    (tmp_path / "main.py").write_text(code)
    command, environment = [sys.executable, tmp_path / "main.py"], {"PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
    curated, deadline = tmp_path / ".out.work" / "tasks" / "curate", time.monotonic() + 60
    while len(list(curated.glob("[0-9a-f]*"))) < 3 and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (tmp_path / "out").exists()
    done = {path: path.stat().st_mtime_ns for path in curated.glob("[0-9a-f]*/done.json")}
    assert len(done) >= 3
    seen: dict[Path, int] = {}
    process = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
    while process.poll() is None:
        seen |= {path: path.stat().st_mtime_ns for path in done if path.exists()}
        time.sleep(0.02)
    assert process.returncode == 0 and (tmp_path / "out" / "manifest.json").is_file() and seen == done
    assert sorted(p.name for p in tmp_path.iterdir()) == ["main.py", "out"]


def test_two_runs_cannot_write_the_same_output(run, books: Path, tmp_path: Path):
    code = (
        "import fcntl, sys\n"
        "lock = open(sys.argv[1], 'w'); fcntl.flock(lock, fcntl.LOCK_EX); print('held', flush=True); sys.stdin.read()"
    )
    (tmp_path / ".out.staging").mkdir()
    command = [sys.executable, "-c", code, str(tmp_path / ".out.staging" / "lock")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        holder.stdout.readline()
        with pytest.raises(ValueError, match="is being prepared by another process"):
            run(books)
        holder.stdin.close()


def test_a_full_disk_is_noticed_before_writing(run, books: Path, tmp_path: Path, monkeypatch):
    monkeypatch.setattr("data_prep.staging.shutil.disk_usage", lambda place: type("Usage", (), {"free": 1000}))
    with pytest.raises(ValueError, match=r"output=.* needs about \d+ bytes, but its disk has 1000"):
        run(books)
    assert [p.name for p in tmp_path.iterdir()] == ["books.jsonl"]


def test_one_document_cannot_be_split_by_documents(run, make_text, tmp_path: Path):
    (tmp_path / "one.txt").write_text("".join(make_text(i) for i in range(50)))
    with pytest.raises(ValueError, match="needs two documents in some source, .* set heldout=tail"):
        run(tmp_path / "one.txt")


def test_a_corpus_that_is_too_small_for_its_vocabulary_says_what_works(run, books: Path):
    with pytest.raises(ValueError, match=r"tokenizer.vocab_size=8000 .* use at most \d+, or more text"):
        run(books, tokenizer=TokenizerConfig())


def test_everything_dropped_is_an_error_that_gives_the_reasons(run, books: Path):
    with pytest.raises(
        ValueError,
        match=r"must keep at least one of its 60 documents \(60 basic.too_short\): relax rules.basic",
    ):
        run(books, rules=RulesConfig(basic=BasicConfig(min_characters=10_000)))


def test_a_limit_below_the_smallest_document_is_an_error(run, books: Path):
    with pytest.raises(ValueError, match=r"no document within max_bytes \(60 limit.max_bytes\): raise max_bytes"):
        run(books, max_bytes=10)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"output": ""}, "output='' must name a directory"),
        ({"sources": {"../x": SourceConfig(path="a")}}, "sources.../x must be named with letters"),
        ({"max_bytes": -1}, "max_bytes=-1 must be at least 0"),
        ({"questions": -1}, "questions=-1 must be at least 0"),
        ({"workers": -1}, "workers=-1 must be at least 0"),
        ({"heldout_fraction": 0.6}, "heldout_fraction=0.6 must be from 0 to 0.5"),
        ({"heldout_fraction": float("nan")}, "heldout_fraction=nan must be from 0 to 0.5"),
    ],
)
def test_wrong_settings_are_refused(changes: dict, message: str):
    with pytest.raises(ValueError) as error:
        PrepareConfig(**changes)
    assert message in str(error.value)


def test_real_books_come_back_unchanged(run, tmp_path: Path):
    path = ROOT.parent / "shared" / "data" / "pretrain" / "c4_demo.jsonl"
    if not path.is_file():
        pytest.skip("this checkout has no shared data")
    rules = RulesConfig(basic=BasicConfig(max_repeated_line_fraction=0))
    run(path, tokenizer=TokenizerConfig(vocab_size=2000), rules=rules, pii=PiiConfig(kinds=[]))
    wanted = {" ".join(json.loads(line)["text"].split()) for line in path.read_text().splitlines()}
    found = {" ".join(t.split()) for split in ("train", "heldout") for t in texts_of(tmp_path / "out", split)}
    assert found <= wanted and len(found) > 0.9 * len(wanted)
    assert np.all(Shard.open(tmp_path / "out" / "train" / "books").lengths > 1)


def test_results_that_are_kept_are_not_made_again_when_a_limit_of_scores_changes(run, books: Path, tmp_path: Path):
    def scores(share: float) -> ScoresConfig:
        prior = PriorConfig(min_documents=5, center_documents=5)
        keep = KeepConfig(min_quantile=share)
        return ScoresConfig(scorers={"usual": ScorerConfig(kind=ScorerKind.prior, prior=prior, keep=keep)})

    def done() -> dict[str, set[Path]]:
        tasks = tmp_path / ".out.work" / "tasks"
        return {kind.name: set(kind.iterdir()) for kind in tasks.iterdir()}

    run(books, scores=scores(0.1), keep_work=True)
    before = done()
    second = run(books, scores=scores(0.3), keep_work=True, overwrite=True)
    assert second["sources"]["books"]["dropped"] == {"scores.usual.low": {"documents": 18, "bytes": ANY}}
    assert {kind for kind, folders in done().items() if folders != before[kind]} == {"encode"}
    run(books, scores=scores(0.2), overwrite=True)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["books.jsonl", "out"]


def test_paths_in_the_settings_of_tasks_are_absolute(run, make_text, tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("words.txt").write_text("unlikelyword\n")
    Path("good.txt").write_text("".join(make_text(i).replace("\n", " ") + "\n" for i in range(9)))
    Path("a.jsonl").write_text("".join(json.dumps({"text": make_text(i)}) + "\n" for i in range(30)))
    rules = RulesConfig(c4=C4Config(bad_words_file="words.txt"))
    target = ScorerConfig(kind=ScorerKind.importance, importance=ImportanceConfig(target="good.txt"))
    source = run("a.jsonl", rules=rules, scores=ScoresConfig(scorers={"t": target}), keep_work=True)["sources"]["books"]
    assert source["path"] == "a.jsonl" and Path("out/inputs.txt").read_text().startswith("books a.jsonl ")
    for path in Path(".out.work/tasks").rglob("done.json"):
        for name in ("words.txt", "good.txt", "a.jsonl"):
            given = path.read_text().replace(f'"name":"{name}"', "").replace(f'"path":"{name}"', "", 1)
            assert f'"{name}"' not in given


NO_TALKS = InstructConfig(sources={"talks": InstructSourceConfig(path="none.jsonl")})
NO_TARGET = ScorerConfig(kind=ScorerKind.importance, importance=ImportanceConfig(target="no.txt"))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"instructions": NO_TALKS},
            r"instructions\.sources\.talks\.path=none\.jsonl must be a .jsonl or .json",
        ),
        (
            {"scores": ScoresConfig(scorers={"t": NO_TARGET})},
            r"scores\.scorers\.t\.importance\.target=no\.txt must be a .jsonl or .txt file of examples: check",
        ),
    ],
)
def test_files_that_are_needed_late_are_looked_for_at_once(run, books: Path, tmp_path: Path, changes, message: str):
    with pytest.raises(ValueError, match=message):
        run(books, **changes)
    assert [p.name for p in tmp_path.iterdir()] == ["books.jsonl"]


def test_a_source_that_others_hold_already_says_what_to_do(run, books: Path, tmp_path: Path):
    (tmp_path / "again.jsonl").write_text(books.read_text())
    with pytest.raises(
        ValueError, match=r"sources\.again\.path=.*\(60 dedup\.exact\): it holds what other sources hold"
    ):
        run({"books": books, "again": tmp_path / "again.jsonl"})


def test_a_missing_text_field_is_named(run, books: Path):
    source = SourceConfig(path=str(books), text_field="body")
    with pytest.raises(ValueError, match=r"no field 'body', but 'text', 'id'; set its text_field or raise"):
        run({"books": source})


def test_a_finished_run_keeps_its_lock_until_the_output_stands(run, books: Path, tmp_path: Path, monkeypatch):
    refused = []

    def flush(path: Path) -> None:
        if path.name == "manifest.json":
            with pytest.raises(ValueError, match="is being prepared by another process"), Staging(tmp_path / "out"):
                pass
            refused.append(path)

    monkeypatch.setattr("data_prep.staging._flush", flush)
    run(books)
    assert len(refused) == 1 and not (tmp_path / "out" / "lock").exists()
