"""Floor 1: files and frames. Knows nothing of labels, networks or datasets."""
