"""Floor 2: tensors in, tensors out. Knows nothing of files and datasets (but for checkpoints)."""
