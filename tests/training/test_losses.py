"""The RANK loss against torch's own, and the forms against each other."""

import math

import pytest
import torch

from scslib.training.losses import pair_targets, rank_loss, ranking_loss


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


def test_weighted_counts_a_pair_by_how_much_the_classifier_prefers_one(pairs):
    s_i, s_j, _ = pairs
    gap = torch.rand(200) - torch.rand(200)
    total = sum(
        abs(g) * max(0.0, 1 - math.copysign(1, g) * (i - j))
        for i, j, g in zip(s_i.tolist(), s_j.tolist(), gap.tolist(), strict=True)
    )
    loss = rank_loss(s_i, s_j, gap, form="weighted")
    assert loss.item() == pytest.approx(total / 200, rel=1e-5)


@pytest.mark.parametrize("form, higher", [("hinge", "rest"), ("weighted", "looks like an action")])
def test_a_clip_that_is_seldom_much_better_and_often_a_little_worse(form, higher):
    """22 clips look alike: 10 have 0.7 of the true class, 12 have 0.1. The others have 0.2."""
    f = torch.cat([torch.full((10,), 0.7), torch.full((12,), 0.1), torch.full((78,), 0.2)])
    looks = torch.tensor([1] * 22 + [0] * 78)
    scores = torch.zeros(2, requires_grad=True)  # of what looks like an action, of the rest
    optimizer = torch.optim.SGD([scores], lr=0.5)
    batch = {"looks": looks, "f": f}
    for _ in range(200):
        optimizer.zero_grad()
        network = lambda batch: scores[1 - batch["looks"]][:, None]  # noqa: E731
        ranking_loss(network, batch, per_video=100, eta=1.0, form=form).backward()
        optimizer.step()
    assert (scores[0] > scores[1]).item() == (higher == "looks like an action")


def test_unknown_form_is_refused():
    with pytest.raises(ValueError, match="'sldie'"):
        rank_loss(*torch.zeros(3, 1), form="sldie")
