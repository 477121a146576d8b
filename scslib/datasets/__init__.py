"""Floor 2: which videos, which labels. Every maker writes the one format of `manifest`."""
