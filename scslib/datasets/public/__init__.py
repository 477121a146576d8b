"""Readers of public datasets by the lists that their makers publish."""
