"""Self-supervised learning across sensors, its supervised baselines, and what small labelled sets make of it."""
