import random
from pathlib import Path

import numpy as np
import pytest

from data_prep import repeats
from data_prep.dedup.exact import content_key
from data_prep.dedup.passages import PassageConfig, PassageUnit
from data_prep.document import Document
from data_prep.repeats import PassageTask, list_passages, roles_of_slices, selected_documents, shortened
from data_prep.selection import Fate
from data_prep.store import StoreWriter

PARAGRAPHS = PassageConfig(unit=PassageUnit.paragraphs, min_words=3)


def corpus() -> list[list[tuple[str, int]]]:
    """Slices of (text, fate); texts are of few different paragraphs."""
    generator = random.Random(3)
    words = [f"word{i}" for i in range(400)]
    shared = [" ".join(generator.choices(words, k=6)) for _ in range(12)]
    slices = []
    for _ in range(4):
        texts = []
        for _ in range(7):
            paragraphs = [generator.choice(shared) for _ in range(3)] + [" ".join(generator.choices(words, k=8))]
            fate = generator.choice([Fate.dropped, Fate.train, Fate.train, Fate.heldout])
            texts.append(("\n\n".join(generator.sample(paragraphs, 4)), fate))
        slices.append(texts)
    return [*slices, []]


def by_hand(slices: list[list[tuple[str, int]]]) -> list[list[str]]:
    """What is left of each selected document: a paragraph that stood in the corpus before goes."""
    seen: set[str] = set()
    left = []
    for texts in slices:
        left.append([])
        for text, fate in texts:
            if fate:
                paragraphs = text.split("\n\n")
                left[-1].append(" ".join(p for p in paragraphs if not (p in seen or seen.add(p))))
    return left


@pytest.mark.parametrize("passages_at_once", [1 << 24, 5])
def test_a_paragraph_stays_where_it_stands_first_and_nowhere_else(tmp_path: Path, monkeypatch, passages_at_once: int):
    monkeypatch.setattr(repeats, "PASSAGES_AT_ONCE", passages_at_once)
    monkeypatch.setattr(repeats, "DOCUMENTS_AT_ONCE", 3)
    places, listed = [], []
    for number, texts in enumerate(corpus()):
        documents, selected, keys = (tmp_path / f"{kind}{number}" for kind in ("documents", "selected", "keys"))
        for folder in (documents, selected, keys):
            folder.mkdir()
        with StoreWriter(documents, num_bands=0) as writer:
            own = [Document(text, f"{number}:{i}") for i, (text, _) in enumerate(texts)]
            content_keys = [content_key(document.text) for document in own]
            writer.add(own, keys=content_keys, bands_NB=np.zeros((len(own), 0), np.uint64))
            writer.close()
        np.save(selected / "fate.npy", np.array([fate for _, fate in texts], np.uint8))
        summary = list_passages(PassageTask(str(documents), str(selected), PARAGRAPHS), keys)
        assert summary == {"passages": 4 * sum(fate > 0 for _, fate in texts)}
        places.append((documents, selected))
        listed.append(keys)
    left = []
    for (documents, selected), roles_P in zip(places, roles_of_slices(listed), strict=True):
        chosen = shortened(selected_documents(documents, selected), roles_P, PARAGRAPHS)
        left.append([" ".join(text.split("\n\n")).strip() for _, text in chosen])
    assert [[" ".join(t.split()) for t in texts] for texts in left] == by_hand(corpus())
    assert sum(map(len, left)) > 12


def test_no_slices_have_no_roles():
    assert roles_of_slices([]) == [] or [len(roles) for roles in roles_of_slices([])] == [0]
