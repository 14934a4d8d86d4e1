import ast
import sys
from pathlib import Path

import pytest

from data_prep.docstrings import Entry, docstring_document, entries_of
from data_prep.embedded import KINDS, EmbeddedFile, documents_of_file, find_files
from data_prep.questions import MAX_WORDS, answer_from, choose_questions, pairs_of

SOURCE = '''
"""Tools for boats.

They float.
"""

raise SystemExit("this module must never run")


def steer(boat, degrees=3, *ropes, gently=True, **extra):
    """Turn the boat by some degrees.

    Returns
    -------
    The new heading of the boat, which is a number between zero and 360, where north is zero.
    """
    def inner():
        """Not shown."""


def _hidden():
    """Secret."""


class Boat:
    """A vessel that carries people over water."""

    async def anchor(self, depth):
        """Drop the anchor to the given depth."""
'''


@pytest.fixture
def document() -> str:
    return docstring_document(SOURCE, module="harbour.boats")


def test_a_module_becomes_headings_with_full_names_and_what_they_say(document: str):
    assert document.startswith("# module `harbour.boats`\n\nTools for boats.\n\nThey float.\n\n## function ")
    assert (
        "## function `harbour.boats.steer`\n\n    steer(boat, degrees, *ropes, gently, **extra)\n\nTurn the" in document
    )
    assert "## method `harbour.boats.Boat.anchor`\n\n    anchor(depth)\n\nDrop the anchor" in document
    assert "Secret" not in document and "Not shown" not in document


def test_the_entries_of_a_document_come_back(document: str):
    entries = list(entries_of(document))
    assert [(entry.kind, entry.name) for entry in entries] == [
        ("module", "harbour.boats"),
        ("function", "harbour.boats.steer"),
        ("class", "harbour.boats.Boat"),
        ("method", "harbour.boats.Boat.anchor"),
    ]
    assert entries[1].text.startswith("Turn the boat by some degrees.\n\nReturns\n")
    assert entries[2].text == "A vessel that carries people over water."


def test_texts_attached_to_compiled_functions_are_documented_under_their_public_names():
    source = '''
"""Texts for compiled functions: the modules that hold them are written in another language than this one is."""
add_docstr(torch.turn, r"""
turn(input, *, out=None) -> Tensor

Turn the {{input}} around.

Args:
    {input}
    degrees (int): how far
""".format(**common))
add_newdoc("numpy._core.multiarray", "float", """Make an array float on water.""")
add_newdoc("numpy._core", "boat", ("mast", """The mast of the boat."""))
add_newdoc(name, "unknown", text)
'''
    document = docstring_document(source, module="m._docs")
    entries = {entry.name: entry.text for entry in entries_of(document)}
    assert set(entries) == {"m._docs", "torch.turn", "numpy.float", "numpy.boat.mast"}
    assert entries["torch.turn"] == "Turn the {input} around.\n\nArgs:\n    degrees (int): how far"
    assert "## function `torch.turn`\n\n    turn(input, *, out=None) -> Tensor\n\nTurn the" in document


def test_a_module_that_says_little_makes_no_document():
    assert docstring_document('"""Short."""', module="m") == ""


def test_a_file_that_cannot_be_parsed_makes_no_document(tmp_path: Path):
    for number, data in enumerate((b"def broken(:", b"\xff\xfe", b"x = 1\x00", b"(" * 5000)):
        path = tmp_path / f"{number}.py"
        path.write_bytes(data)
        assert documents_of_file(EmbeddedFile("m", path, len(data)), kind="docstrings") == []


def test_questions_name_the_thing_and_answers_say_what_it_does(document: str):
    pairs = {pair.name: pair for pair in pairs_of(document, seed=0)}
    assert pairs["harbour.boats.steer"].answer == "Turn the boat by some degrees."
    assert pairs["harbour.boats.Boat"].answer == "A vessel that carries people over water."
    assert all(f"`{name}`" in pair.question for name, pair in pairs.items())


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("Return the :func:`~a.b` of ``x`` and *y* as text.", "Return the `a.b` of `x` and y as text."),
        ("Return the sum of all numbers", "Return the sum of all numbers."),
        ("Open a file, e.g. a book. It is closed later.\n\nMore.", "Open a file, e.g. a book. It is closed later."),
        ("Alias for `other.function` in this module.", ""),
        ("Deprecated since version three, use the other one.", ""),
        ("See the documentation of the base class.", ""),
        ("Compute the thing that is defined as", ""),
        ("The following options are known to this class:", ""),
        (".. note:: this is only a directive.", ""),
        (">>> run the example of this thing.", ""),
        ("Too short.", ""),
        ("word " * (MAX_WORDS + 1) + ".", ""),
        ("", ""),
    ],
)
def test_answers_are_plain_sentences_or_nothing(text: str, answer: str):
    assert answer_from(Entry("function", "m.thing", text)) == answer


def test_no_question_or_answer_repeats_and_sides_share_none():
    ships = SOURCE.replace("boat", "ship").replace("water", "sea").replace("anchor", "chain")
    documents = [docstring_document(SOURCE, module=f"m{i}") for i in range(5)]
    pairs = [("train", pair) for document in documents for pair in pairs_of(document, seed=0)]
    pairs += [("heldout", pair) for pair in pairs_of(docstring_document(ships, module="n"), seed=0)]
    chosen = choose_questions(pairs, max_pairs=100, source="s", seed=0)
    answers = [record["messages"][1]["content"] for _, record in chosen]
    assert len(set(answers)) == len(answers)
    assert [split for split, _ in chosen].count("train") == 3 == len(chosen) / 2
    assert choose_questions(pairs, max_pairs=2, source="s", seed=0) == chosen[:2]


@pytest.fixture(scope="module")
def sources() -> dict[str, list[EmbeddedFile]]:
    return {kind: find_files("mine", kind, seed=0) for kind in KINDS}


def test_every_kind_gives_real_text(sources: dict[str, list[EmbeddedFile]]):
    least = {"docs": 300_000, "code": 5_000_000, "prose": 10_000}
    for kind, num_bytes in least.items():
        documents = [document for file in sources[kind] for document in documents_of_file(file, kind=kind)]
        assert sum(len(document.text) for document in documents) > num_bytes


def test_sources_are_parsed_and_never_imported(sources: dict[str, list[EmbeddedFile]]):
    before = set(sys.modules)
    for file in sources["docstrings"][:60]:
        documents_of_file(file, kind="docstrings")
    assert set(sys.modules) == before


def test_docstring_documents_and_code_of_a_module_are_one_family(sources: dict[str, list[EmbeddedFile]]):
    for kind in ("code", "docstrings"):
        file = next(file for file in sources[kind] if file.name == "textwrap")
        assert [document.family for document in documents_of_file(file, kind=kind)] == ["textwrap"]


def test_the_order_of_files_is_the_same_each_time_and_not_alphabetical(sources: dict[str, list[EmbeddedFile]]):
    again = find_files("mine", "code", seed=0)
    names = [file.name for file in sources["code"]]
    assert [file.name for file in again] == names != sorted(names)
    assert [file.name for file in find_files("mine", "code", seed=1)] != names


def test_no_file_of_a_test_suite_is_taken(sources: dict[str, list[EmbeddedFile]]):
    assert not [file.name for file in sources["code"] if "test" in file.name.split(".")]


def test_code_documents_are_valid_python(sources: dict[str, list[EmbeddedFile]]):
    for file in sources["code"][:40]:
        for document in documents_of_file(file, kind="code"):
            ast.parse(document.text)


def test_an_unknown_kind_is_refused_with_the_choices():
    with pytest.raises(ValueError, match="path=embedded:poems must be one of embedded:docs, embedded:docstrings"):
        find_files("mine", "poems", seed=0)
