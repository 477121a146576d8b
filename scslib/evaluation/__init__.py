"""How good and how costly each method is."""
