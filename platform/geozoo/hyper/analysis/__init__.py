"""Analysis of populations: maps, neighbourhoods, similarity, loss surfaces, barriers, sources of variance."""
