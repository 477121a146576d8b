"""Train f, the samplers and the aggregators."""
