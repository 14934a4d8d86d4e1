"""Models and checkpoints that several files look at."""

import pytest

from mai1.model.transformer import MoETransformer
from tests.support.tiny import family_configs


@pytest.fixture(scope="session")
def family_models() -> list[MoETransformer]:
    """One tiny model of each family."""
    return [MoETransformer(config) for config in family_configs().values()]
