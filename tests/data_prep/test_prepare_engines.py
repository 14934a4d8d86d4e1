import hashlib
import json
import random
from pathlib import Path

import pytest

from data_prep.config import DedupConfig, EngineKind, PrepareConfig
from data_prep.dedup.minhash import MinHashConfig
from data_prep.dedup.passages import PassageConfig, PassageUnit
from data_prep.engine.config import EngineOptions, RayConfig, SlurmConfig
from data_prep.prepare import prepare
from data_prep.reading.source import SourceConfig
from data_prep.scores.config import ScorerConfig, ScorerKind, ScoresConfig
from data_prep.scores.keep import KeepConfig
from data_prep.scores.prior import PriorConfig
from mai1.tokenizer.training import TokenizerConfig
from tests.support.ray_token import RAY_TOKEN
from tests.support.slurm import SlurmCluster, why_not

pytestmark = pytest.mark.slow

DEDUP = DedupConfig(
    minhash=MinHashConfig(ngram_words=3), passages=PassageConfig(unit=PassageUnit.paragraphs, min_words=8)
)
PRIOR = ScorerConfig(
    kind=ScorerKind.prior, prior=PriorConfig(min_documents=20, center_documents=20), keep=KeepConfig(min_quantile=0.1)
)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> dict[str, SourceConfig]:
    """Two sources, in which every kind of task has something to do."""
    folder, generator = tmp_path_factory.mktemp("corpus"), random.Random(0)
    words = [
        f"{a}{b}" for a in ("stone", "river", "wood", "salt", "roof") for b in ("", "s", "en", "ish", "work", "man")
    ]
    sentence = " ".join(generator.choices(words, k=20)) + "."
    for name in ("a", "b"):
        texts = [
            " ".join(generator.choices(words, k=60)) + ".\n\n" + (sentence if i % 3 else "End.") for i in range(60)
        ]
        texts += [text + " more" for text in texts[:9]]
        (folder / f"{name}.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    return {name: SourceConfig(path=str(folder / f"{name}.jsonl")) for name in ("a", "b")}


def prepared(output: Path, corpus: dict[str, SourceConfig], **settings) -> dict[str, str]:
    """Hashes of everything that is written."""
    scores = ScoresConfig(scorers={"usual": PRIOR})
    given = {
        "sources": corpus,
        "tokenizer": TokenizerConfig(vocab_size=320),
        "scores": scores,
        "dedup": DEDUP,
        "workers": 1,
    }
    manifest = prepare(PrepareConfig(**given | settings | {"output": str(output)}), progress=False)
    reasons = {reason for source in manifest["sources"].values() for reason in source["dropped"]}
    assert {"dedup.near", "scores.usual.low"} <= reasons
    assert manifest["sources"]["b"]["edits"]["dedup.passages.characters"] > 1000
    files = [path for path in output.rglob("*") if path.is_file()]
    return {str(path.relative_to(output)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.fixture(scope="module")
def local(corpus: dict[str, SourceConfig], tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return prepared(tmp_path_factory.mktemp("local") / "out", corpus)


def test_any_number_of_workers_writes_the_same_bytes(corpus: dict, local: dict, tmp_path: Path):
    assert prepared(tmp_path / "out", corpus, workers=2) == local


def test_ray_writes_the_bytes_of_the_local_engine(corpus: dict, local: dict, tmp_path: Path, monkeypatch):
    pytest.importorskip("ray")
    monkeypatch.delenv("RAY_AUTH_MODE", raising=False)
    monkeypatch.setenv("RAY_AUTH_TOKEN", RAY_TOKEN)
    options = EngineOptions(ray=RayConfig(num_cpus=2))
    assert prepared(tmp_path / "out", corpus, engine=EngineKind.ray, engine_options=options) == local


@pytest.mark.skipif(bool(why_not()), reason=why_not())
def test_slurm_on_two_nodes_writes_the_bytes_of_the_local_engine(
    corpus: dict, local: dict, tmp_path: Path, monkeypatch
):
    with SlurmCluster() as cluster:
        for key, value in cluster.environment.items():
            monkeypatch.setenv(key, value)
        options = EngineOptions(slurm=SlurmConfig(poll_s=0.2, settle_s=5.0))
        assert prepared(tmp_path / "out", corpus, engine=EngineKind.slurm, engine_options=options) == local
