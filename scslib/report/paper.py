"""The slides' figures, shown beside what is measured here.

Torresani, "Action Recognition in Long Videos", CVPR 2019 tutorial; K = 10 throughout. MINISPORTS:
136,000 and 133,000 videos of Sports1M, f = MC3-18. LARGE: the two full datasets with other classifiers,
runtime in days (Sports1M) and hours (Kinetics-400).
"""

from __future__ import annotations

import pandas as pd

MINISPORTS = pd.DataFrame(
    [
        ("random", 59.51, 15.1),
        ("uniform", 59.87, 15.1),
        ("dense", 61.6, 2293.5),
        ("audio", 67.82, 22.0),
        ("visual", 73.05, 20.9),
        ("audio-visual", 75.53, 23.4),
    ],
    columns=["method", "accuracy_percent", "runtime_min"],
)

LARGE_DATASETS = pd.DataFrame(
    [
        ("Sports1M", "R(2+1)D-34", 77.96, 0.9, 71.49, 0.6, 70.90, 14.2),
        ("Sports1M", "CSN-152", 83.98, 0.9, 75.80, 0.5, 76.97, 14.0),
        ("Kinetics-400", "R(2+1)D-34", 76.71, 1.6, 73.26, 1.5, 74.11, 3.1),
        ("Kinetics-400", "I3D-RGB", 75.12, 1.5, 71.18, 1.3, 72.75, 2.9),
        ("Kinetics-400", "CSN-152", 80.23, 1.6, 77.53, 1.5, 78.81, 3.0),
    ],
    columns=["data", "classifier"]
    + [f"{way} {what}" for way in ("salient", "uniform", "dense") for what in ("accuracy, %", "time")],
)


def beside(summary: pd.DataFrame) -> pd.DataFrame:
    """Our table (`table.over_seeds`) with the slides' accuracy and time ratios beside it."""
    slides = MINISPORTS.set_index("method")
    minutes = slides["runtime_min"]
    theirs = pd.DataFrame(
        {
            "slides: accuracy": slides["accuracy_percent"],
            "slides: overhead_vs_uniform": (minutes / minutes["uniform"]).round(2),
            "slides: speedup_vs_dense": (minutes["dense"] / minutes).round(1),
        }
    )
    return summary.merge(theirs, left_on="method", right_index=True, how="left")
