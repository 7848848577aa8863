"""Earth-observation data: bands by name, readers, validators, the chip store, samplers."""
