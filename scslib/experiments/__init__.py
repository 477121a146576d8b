"""Running the notebooks headless: one run, sweeps of runs, and comparison with earlier runs."""
