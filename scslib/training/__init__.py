"""Training f, the samplers and the aggregators."""
