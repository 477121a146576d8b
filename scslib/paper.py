"""What the slides report, to stand beside what is measured here. Never used for anything else.

miniSports (136,000 / 133,000 videos of Sports1M), f = MC3-18, K = 10: Torresani, "Action Recognition in
Long Videos", CVPR 2019 tutorial.
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


def beside(summary: pd.DataFrame) -> pd.DataFrame:
    """Our table (`evaluation.over_seeds`) with the slides' accuracy and time ratios beside it."""
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
