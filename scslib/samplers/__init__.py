"""Clip samplers: what one is, which there are, how they are used."""
