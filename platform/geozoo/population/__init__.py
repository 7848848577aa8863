"""Training populations: random streams, initial weights, optimisers, engines."""

from geozoo.population.engine import (
    ENGINES,
    METRICS,
    SPLITS,
    Block,
    CohortJob,
    Engine,
    EngineRecord,
    Progress,
    load_engine,
    resolve_engine,
)

__all__ = [
    "ENGINES",
    "METRICS",
    "SPLITS",
    "Block",
    "CohortJob",
    "Engine",
    "EngineRecord",
    "Progress",
    "load_engine",
    "resolve_engine",
]
