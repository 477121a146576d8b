"""Dataset folders: which videos, which labels. Every maker writes the format of `manifest`."""
