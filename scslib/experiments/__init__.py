"""Run notebooks headless: one run, sweeps, and comparison with earlier runs."""
