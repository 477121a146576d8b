"""Python imports this at its start where this folder is in PYTHONPATH."""

import standin  # noqa: F401
