"""How results look: figures, the report page, playable clips."""
