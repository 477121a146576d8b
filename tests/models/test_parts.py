"""Networks see pictures in parts, and say the same of them."""

import pytest
import torch

from scslib.models import parts
from scslib.models.parts import in_parts

PICTURES = torch.arange(7 * 3 * 4 * 5, dtype=torch.float32).reshape(7, 3, 4, 5)


@pytest.fixture
def network():
    seen: list[int] = []

    def mean(pictures):
        seen.append(len(pictures))
        return pictures.mean((2, 3))

    return mean, seen


@pytest.mark.parametrize("numbers, expected", [(2 * 20 * 8, [2, 2, 2, 1]), (19, [1] * 7), (9999, [7])])
def test_as_many_pictures_as_a_first_layer_has_room_for(network, monkeypatch, numbers, expected):
    function, seen = network
    monkeypatch.setattr(parts, "NUMBERS_AT_ONCE", numbers)
    with torch.no_grad():
        found = in_parts(function, PICTURES, per_pixel=8, training=False)
    assert seen == expected
    torch.testing.assert_close(found, PICTURES.mean((2, 3)))


@pytest.mark.parametrize("gradients, training", [(True, False), (False, True)])
def test_all_at_once_in_training(network, monkeypatch, gradients, training):
    function, seen = network
    monkeypatch.setattr(parts, "NUMBERS_AT_ONCE", 1)
    with torch.set_grad_enabled(gradients):
        in_parts(function, PICTURES, per_pixel=8, training=training)
    assert seen == [7]
