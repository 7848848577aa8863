"""Training populations: random streams, initial weights, optimisers, engines."""

from geozoo.population.choice import EngineChoice, choose_engine
from geozoo.population.engine import (
    ENGINES,
    METRICS,
    SPLITS,
    Block,
    CohortJob,
    Engine,
    EngineRecord,
    Progress,
    Snapshot,
    find_engine,
    load_engine,
)

__all__ = [
    "ENGINES",
    "METRICS",
    "SPLITS",
    "Block",
    "CohortJob",
    "Engine",
    "EngineChoice",
    "EngineRecord",
    "Progress",
    "Snapshot",
    "choose_engine",
    "find_engine",
    "load_engine",
]
