"""The RANK loss against torch's own, and the two forms against each other."""

import pytest
import torch

from scslib.training.losses import pair_targets, rank_loss


@pytest.fixture
def pairs():
    torch.manual_seed(0)
    s_i, s_j = torch.randn(2, 200)
    z = torch.where(torch.rand(200) < 0.5, 1.0, -1.0)
    return s_i, s_j, z


@pytest.mark.parametrize("eta", [0.0, 0.3, 1.0])
def test_hinge_equals_margin_ranking_loss(pairs, eta):
    s_i, s_j, z = pairs
    expected = torch.nn.functional.margin_ranking_loss(s_i, s_j, z, margin=eta)
    torch.testing.assert_close(rank_loss(s_i, s_j, z, eta=eta), expected)


@pytest.mark.parametrize("eta", [0.3, 1.0])
def test_slide_equals_its_formula_pair_by_pair(pairs, eta):
    total = sum(
        max(0.0, -z * (i - j + eta)) for i, j, z in zip(*(p.tolist() for p in pairs), strict=True)
    )
    loss = rank_loss(*pairs, eta=eta, form="slide")
    assert loss.item() == pytest.approx(total / 200, rel=1e-5)


def one(form: str, difference: float, z: float) -> float:
    return rank_loss(*torch.tensor([[difference], [0.0], [z]]), eta=1.0, form=form).item()


def test_hinge_is_symmetric_and_slide_is_not():
    """For z = 1 the printed eta is slack, for z = -1 a margin; the usual hinge has a margin in both."""
    for difference in (-2.0, -0.5, 0.0, 0.5, 2.0):
        assert one("hinge", difference, 1.0) == one("hinge", -difference, -1.0)
        assert one("slide", difference, -1.0) == one("hinge", difference, -1.0)
    assert one("slide", -0.5, 1.0) == 0.0  # wrong by less than eta: free
    assert one("hinge", -0.5, 1.0) == 1.5
    assert one("slide", -3.0, 1.0) == 2.0 and one("hinge", -3.0, 1.0) == 4.0  # 2 eta apart


def test_gradient_pushes_the_better_clip_up():
    s_i, s_j = torch.zeros(1, requires_grad=True), torch.zeros(1, requires_grad=True)
    rank_loss(s_i, s_j, torch.ones(1)).backward()
    assert s_i.grad.item() < 0 < s_j.grad.item()


def test_pair_targets():
    f_i, f_j = torch.tensor([0.9, 0.1, 0.5]), torch.tensor([0.2, 0.3, 0.5])
    assert pair_targets(f_i, f_j).tolist() == [1.0, -1.0, -1.0]  # not higher counts as -1


def test_unknown_form_is_refused():
    with pytest.raises(ValueError, match="'sldie'"):
        rank_loss(*torch.zeros(3, 1), form="sldie")
