"""What a clip sampler is, which there are, and how they are used."""
