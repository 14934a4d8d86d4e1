"""Every kind of task that `mai1 prepare` consists of: kind -> function(arguments, folder) -> summary."""

from collections.abc import Callable
from pathlib import Path

from data_prep.as_json import from_json
from data_prep.curation import CurateTask, curate
from data_prep.encoding import EncodeTask, encode
from data_prep.repeats import PassageTask, list_passages
from data_prep.scoring import FitTask, ScoreTask, fit, score

TASKS: dict[str, Callable[[dict, Path], dict]] = {
    "curate": lambda arguments, folder: curate(from_json(CurateTask, arguments), folder),
    "fit": lambda arguments, folder: fit(from_json(FitTask, arguments), folder),
    "score": lambda arguments, folder: score(from_json(ScoreTask, arguments), folder),
    "passages": lambda arguments, folder: list_passages(from_json(PassageTask, arguments), folder),
    "encode": lambda arguments, folder: encode(from_json(EncodeTask, arguments), folder),
}
"""A function writes its files into the folder and returns a small summary of plain JSON values."""
