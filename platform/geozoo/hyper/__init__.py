"""Learning from zoos: features of weights, readouts, and the probes that score them."""
