"""One label for the video, from the scores of its clips."""

import numpy as np
import pytest

from scslib.aggregation import mean_of_clips


def test_mean_equals_a_loop_over_clips_and_classes():
    probabilities = np.random.default_rng(0).random((5, 3))
    expected = [sum(probabilities[i][c] for i in range(5)) / 5 for c in range(3)]
    np.testing.assert_allclose(mean_of_clips(probabilities), expected)


def test_pull_request_bug_mean_without_axis_collapses_the_classes():
    mean = mean_of_clips(np.array([[0.1, 0.9], [0.3, 0.7]]))
    assert mean.shape == (2,) and mean.argmax() == 1


@pytest.mark.parametrize("shape", [(3,), (0, 4), (2, 3, 4)])
def test_other_shapes_are_refused(shape):
    with pytest.raises(ValueError, match="probabilities"):
        mean_of_clips(np.zeros(shape))
