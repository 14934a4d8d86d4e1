"""`mai1 tokenizer` as a person uses it, and a model on byte-level BPE from text to transformers."""

import gzip
import json
from pathlib import Path

import pytest

from mai1.tokenizer.tokenizer import Tokenizer
from mai1.tokenizer.words import Digits
from tests.run.conftest import TINY_RUN
from tests.support.commands import run_command


@pytest.fixture(scope="module")
def tokenizers(texts, tmp_path_factory) -> Path:
    """One of each kind, learned through the command."""
    folder = tmp_path_factory.mktemp("tokenizers")
    for kind in ("bpe", "byte_bpe", "char"):
        done = run_command(
            "tokenizer", "train", f"input={texts}", f"output={folder / kind}", f"tokenizer.kind={kind}",
            "tokenizer.vocab_size=700",
        )  # fmt: skip
        assert done.code == 0, done.err
        assert f"{kind} of " in done.out and " bytes" in done.out
    return folder


def test_help_teaches_every_action(mai1):
    shown = mai1("tokenizer", "--help").out
    for part in ("tokenizer train", "compare DIR", "export DIR", "encode DIR", "decode DIR", "bytes per token"):
        assert part in shown
    keys = mai1("tokenizer", "train", "--help").out
    assert "usage: mai1 tokenizer train [key=value ...]" in keys
    for key in ("input=", "output=", "text_field=", "kind=bpe", "digits=up_to_three", "sample_bytes="):
        assert key in keys


def test_every_key_of_training_has_its_effect(texts, tmp_path: Path, mai1):
    lines = [json.dumps({"body": path.read_text(encoding="utf-8")}) for path in sorted(texts.iterdir())]
    with gzip.open(tmp_path / "all.jsonl.gz", "wt", encoding="utf-8") as file:
        file.write("\n".join(lines))

    def train(name: str, *keys: str) -> Tokenizer:
        done = mai1("tokenizer", "train", f"output={tmp_path / name}", "tokenizer.kind=byte_bpe",
                    "tokenizer.vocab_size=500", *keys)  # fmt: skip
        assert done.code == 0, done.err
        return Tokenizer.load(tmp_path / name)

    plain = train("a", f"input={texts}")
    assert plain.vocabulary.text_size == 500 and plain.model.digits is Digits.up_to_three
    same = train("b", f"input={tmp_path / 'all.jsonl.gz'}", "text_field=body")
    assert same.hash == plain.hash
    assert train("c", f"input={texts}", "tokenizer.digits=single").model.digits is Digits.single
    assert train("d", f"input={texts}", "tokenizer.sample_bytes=30000").hash != plain.hash
    assert max(map(len, train("e", f"input={texts}", "tokenizer.max_piece_characters=3").model.bytes_of_id)) == 3
    assert train("f", f"input={texts}", "tokenizer.reserved_size=1").vocabulary.reserved_size == 1
    two = f"input=[{sorted(texts.iterdir())[0]},{tmp_path / 'all.jsonl.gz'}]"
    assert mai1("tokenizer", "train", two, f"output={tmp_path / 'g'}").code == 2  # the text file has no field


def test_compare_shows_a_table_and_the_same_as_json(tokenizers, texts, tmp_path: Path, mai1):
    table = tmp_path / "languages.jsonl"
    rows = [("en", "The cat sits on the mat."), ("ja", "\u732b\u3067\u3042\u308b"), ("en", "A second text.")]
    table.write_text("".join(json.dumps({"text": text, "language": name}) + "\n" for name, text in rows))
    chosen = [tokenizers / "bpe", tokenizers / "byte_bpe"]
    shown = mai1("tokenizer", "compare", *chosen, f"input=[{texts},{table}]")
    assert shown.code == 0, shown.err
    assert "bytes/token" in shown.out and "language ja" in shown.out and f"source {table}" in shown.out
    found = json.loads(mai1("tokenizer", "compare", *chosen, f"input=[{texts},{table}]", "json=true").out)
    assert set(found["overall"]) == {str(path) for path in chosen}
    of_language = {name: found[f"language {name}"][str(chosen[0])] for name in ("en", "ja")}
    assert of_language["en"]["bytes_per_token"] > of_language["ja"]["bytes_per_token"]
    assert of_language["ja"]["broken_share"] > 0.5 > of_language["en"]["broken_share"]
    assert sum("source" in group for group in found) == len(list(texts.iterdir())) + 1


def test_encode_shows_pieces_and_decode_gives_the_text_back(tokenizers, mai1):
    for kind in ("bpe", "byte_bpe", "char"):
        shown = mai1("tokenizer", "encode", tokenizers / kind, "text=The value = x\u00e9 \U0001f642")
        assert shown.code == 0 and "\u00b7" in shown.out and "<0xF0>" in shown.out
        ids = shown.out.strip().rpartition("ids=")[2]
        assert mai1("tokenizer", "decode", tokenizers / kind, f"ids={ids}").out == "The value = x\u00e9 \U0001f642\n"


def test_export_writes_files_for_other_programs(tokenizers, tmp_path: Path, mai1):
    assert mai1("tokenizer", "export", tokenizers / "bpe", f"output={tmp_path / 'hf'}").code == 0
    assert (tmp_path / "hf" / "chat_template.jinja").is_file() and (tmp_path / "hf" / "tokenizer.json").is_file()
    done = mai1("tokenizer", "export", tokenizers / "byte_bpe", f"output={tmp_path / 'tk'}", "format=tiktoken")
    assert done.code == 0 and "tokenizer.tiktoken" in done.out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["fly"], "tokenizer fly: give an action (train, compare"),
        (["train"], "input must be given: mai1 tokenizer train input="),
        (["train", "input=nowhere", "output=x"], "input=nowhere must be a file or directory that exists"),
        (["train", "input=.", "output={bpe}"], "holds a tokenizer already: choose another directory"),
        (["train", "input=.", "output=README.md"], "output=README.md is no directory: choose another directory"),
        (["train", "input=.", "output=docs"], "output=docs holds other things already: choose another directory"),
        (["train", "input={nothing}", "output=x"], "nothing must hold text: name other files"),
        (["export", "{bpe}", "output={char}"], "holds other things already: choose another directory"),
        (["decode", "{bpe}"], "ids= must be numbers with commas between them"),
        (["train", "input=.", "output=x", "tokenizer.vocab_size=9"], "tokenizer.vocab_size=9 must be from 258"),
        (["train", "output=x", "tokenzer.kind=char"], "did you mean"),
        (["compare", "{bpe}"], "input= is missing"),
        (["compare", "{bpe}", "input=.", "json=1"], "json=1 must be true or false"),
        (["compare", "{bpe}", "out=x"], "tokenizer compare: out is no option: use input, text_field, json"),
        (["encode", "{bpe}", "{char}", "text=x"], "tokenizer encode: give one directory with a tokenizer"),
        (["encode", "{bpe}"], "text= is missing"),
        (["decode", "{bpe}", "ids=a"], "ids=a must be numbers with commas between them"),
        (["decode", "{bpe}", "ids=99999"], "token id 99999 must be at least 0 and below"),
        (["export", "{bpe}"], "output= is missing"),
        (["export", "{bpe}", "output=x", "format=gguf"], "format=gguf must be huggingface or tiktoken"),
        (["export", "{bpe}", "output=x", "format=tiktoken"], "format=tiktoken must have a byte-level BPE"),
        (["encode", "nowhere", "text=x"], "nowhere/tokenizer.model must be a tokenizer file"),
    ],
)
def test_mistakes_are_told_in_one_line(tokenizers, mai1, arguments, message: str, tmp_path: Path):
    (tmp_path / "nothing").mkdir()
    places = {"bpe": tokenizers / "bpe", "char": tokenizers / "char", "nothing": tmp_path / "nothing"}
    filled = [a.format(**places) for a in arguments]
    ended = mai1("tokenizer", *filled)
    assert ended.code == 2 and message in ended.err and ended.err.count("\n") == 1, ended.err


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.txt", b"\xff\xfe", "must be UTF-8, but is not at byte 0"),
        ("a.jsonl", b'{"text": "x"}\n[1]\n', "a.jsonl:2 must be an object with text in 'text': set text_field"),
        ("a.jsonl", b"{", "a.jsonl:1 must be one JSON object a line"),
        ("a.jsonl.gz", b"no gzip", "must be a complete file"),
        ("a.jsonl.gz", gzip.compress(b'{"text": "x"}\n' * 99, mtime=0)[:-20], "must be a complete file"),
    ],
)
def test_broken_input_is_named(tmp_path: Path, mai1, name: str, content: bytes, message: str):
    (tmp_path / name).write_bytes(content)
    ended = mai1("tokenizer", "train", f"input={tmp_path}", f"output={tmp_path / 'o'}")
    assert ended.code == 2 and name in ended.err and message in ended.err


def test_a_model_on_byte_bpe_goes_all_the_way_to_transformers(texts, tmp_path: Path):
    """prepare, pretrain, tune, generate, and AutoTokenizer with the same ids in the checkpoint."""
    corpus, runs = tmp_path / "corpus", tmp_path / "runs"

    def run(*arguments: object) -> str:
        done = run_command(*arguments)
        assert done.code == 0, done.err
        return done.out

    run("prepare", f"output={corpus}", f"sources={{topics: {{path: {texts}}}}}", "tokenizer.kind=byte_bpe",
        "tokenizer.vocab_size=700", "heldout_fraction=0.1", "workers=1")  # fmt: skip
    assert sorted(path.name for path in (corpus / "tokenizer").iterdir()) == ["tokenizer.json", "vocabulary.json"]
    talks = [
        {"messages": [{"role": "user", "content": f"Q{n}"}, {"role": "assistant", "content": "A."}]} for n in range(9)
    ]
    (tmp_path / "talks.jsonl").write_text("".join(json.dumps(talk) + "\n" for talk in talks))
    run("pretrain", *TINY_RUN, f"data.path={corpus}", f"run.directory={runs}", "run.name=r", "train.self_check=false")
    run("sft", f"checkpoint.init_from={runs / 'r'}", f"data.train={tmp_path / 'talks.jsonl'}", "data.heldout=",
        f"run.directory={runs}", "run.name=s", "train.steps=1", "data.sequence_length=64", "train.self_check=false",
        "batch.sequences_per_step=2", "batch.sequences_per_microbatch=1")  # fmt: skip
    assert run("generate", f"checkpoint={runs / 's'}", "prompt=The", "sampling.max_new_tokens=4")
    assert "token ids and chat are identical" in run("checkpoint", "prove", runs / "s")
    newest = runs / "s" / "checkpoints" / "latest"
    assert Tokenizer.load(newest).hash == Tokenizer.load(corpus / "tokenizer").hash
    assert not (newest / "tokenizer.model").exists()
