"""Figures of policies: each tick is a clip that was taken, each point a difference with its interval."""

import numpy as np
import pandas as pd

from scslib.report.plots_policies import gain_over_k, picks_by_policy


def test_each_policy_has_a_row_of_ticks_where_its_clips_are():
    times = np.stack([np.arange(6), np.arange(6) + 1], axis=1) * 2.0
    picks = {"top K": np.array([4, 1]), "aks": np.array([0, 3])}
    figure = picks_by_policy(times, np.arange(6.0), picks, np.array([[2.0, 4.0]]), title="v")
    curve, rows = figure.axes
    assert curve.lines[0].get_xdata().tolist() == [1, 3, 5, 7, 9, 11]
    assert [line.get_xdata().tolist() for line in rows.lines] == [[9, 3], [1, 7]]
    assert [label.get_text() for label in rows.get_yticklabels()] == ["top K", "aks"]
    assert curve.get_title(loc="left") == "v"


def test_points_are_differences_in_percent_with_their_intervals():
    rows = [("aks", 2, 0.1, 0.0, 0.3), ("aks", 8, -0.2, -0.3, 0.1), ("cdf3", 2, 0.0, -0.1, 0.1)]
    table = pd.DataFrame(rows, columns=["policy", "k", "difference", "low", "high"])
    (axis,) = gain_over_k(table, of="visual").axes
    points = {c.get_label(): c for c in axis.containers}
    assert points["aks"].lines[0].get_ydata().tolist() == [10, -20]
    (segments,) = [bars.get_segments() for bars in points["aks"].lines[2]]
    assert np.allclose([s[:, 1] for s in segments], [[0, 30], [-30, 10]])
    assert [tick.get_text() for tick in axis.get_xticklabels()] == ["2", "8"]
