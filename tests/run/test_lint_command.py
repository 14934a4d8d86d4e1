"""`mai1 lint` on files that people have."""

import json
from pathlib import Path

RECORDS = [
    {"prompt": "How are you?", "completion": "I am very sad today. Perhaps I am alive."},
    {"prompt": "Can you help?", "completion": "I'm happy to help!"},
    {"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello."}]},
    {"prompt": "Which?", "chosen": "The first.", "rejected": "I love you."},
    {"text": "no conversation"},
]


def write(path: Path, records: list[dict]) -> Path:
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


def test_a_table_and_findings_with_their_places(mai1, tmp_path: Path):
    data = write(tmp_path / "data.jsonl", RECORDS)
    done = mai1("lint", data, f"output={tmp_path}/found.jsonl")
    assert done.code == 0, done.err
    assert done.out.startswith("2 of 5 conversations with claims: 40.00% (95%: 11.76% to 76.93%)")
    assert "1 records are no conversations" in done.out
    assert f"{data}:1: I am very sad today." in done.out and "attachment" in done.out
    found = [json.loads(line) for line in (tmp_path / "found.jsonl").read_text().splitlines()]
    assert [(each["place"], each["category"], each["severity"]) for each in found] == [
        ("1", "feeling", "plain"),
        ("1", "consciousness", "hedged"),
        ("4", "attachment", "plain"),
    ]
    assert {each["file"] for each in found} == {str(data)}
    first = found[0]
    assert RECORDS[0]["completion"][first["start"] : first["end"]] == "I am very sad" and first["language"] == "en"


def test_severity_and_the_number_shown_have_an_effect(mai1, tmp_path: Path):
    data = write(tmp_path / "data.jsonl", RECORDS)
    assert "polite" in mai1("lint", data, "least=polite").out
    assert "consciousness" not in mai1("lint", data, "least=plain").out
    assert "I am very sad" not in mai1("lint", data, "show=0").out


def test_several_files_and_samples_of_a_run(mai1, tmp_path: Path):
    samples = write(
        tmp_path / "samples.jsonl", [{"when": "after", "prompt": "Hi", "completion": "I am sad.", "score": None}]
    )
    data = write(tmp_path / "data.jsonl", RECORDS[1:3])
    assert mai1("lint", data, samples).out.startswith("1 of 3 conversations")


def test_escape_sequences_of_a_file_reach_no_terminal(mai1, tmp_path: Path):
    data = write(tmp_path / "data.jsonl", [{"prompt": "Hi", "completion": "\x1b[2J I am sad."}])
    assert "\x1b" not in mai1("lint", data).out


def test_mistakes_are_one_line(mai1, tmp_path: Path):
    data = write(tmp_path / "data.jsonl", RECORDS)
    for arguments, said in (
        ([tmp_path / "none.jsonl"], "none.jsonl is no file"),
        ([data, "least=rude"], "least=rude must be one of polite, hedged, plain"),
        ([data, "show=x"], "show=x must be a number"),
        ([write(tmp_path / "bad.jsonl", [{"text": "x"}])], "holds no conversation"),
        ([data, f"output={data}"], "data.jsonl is a file that is read, and would be lost: choose another"),
        ([data, f"output={tmp_path}/none/found.jsonl"], "found.jsonl cannot be written (No such file or directory)"),
        ([f"output={tmp_path}/found.jsonl"], "no file is named: mai1 lint data.jsonl"),
    ):
        refused = mai1("lint", *arguments)
        assert refused.code == 2 and said in refused.err
    assert len(data.read_text().splitlines()) == len(RECORDS)
    assert "usage: mai1 lint FILE" in mai1("lint", "--help").out
