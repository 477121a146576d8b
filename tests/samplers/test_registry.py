"""Samplers by name: what a name needs is asked for in words, and no name is given twice."""

import pytest

from scslib.samplers.base import SAMPLERS, Setting, register_maker
from scslib.samplers.registry import make_sampler, sampler_names


def test_every_name_gives_the_sampler_of_that_name_or_says_what_is_missing():
    assert {"empirical"} == set(sampler_names("targets"))
    for name in sampler_names(""):
        assert make_sampler(name, Setting()).name == name
    for name in sampler_names("networks"):
        with pytest.raises(ValueError, match="needs the networks of a run, and none are given"):
            make_sampler(name, Setting())
    with pytest.raises(ValueError, match="'empirical'.* needs f's scores of training videos"):
        make_sampler("empirical", Setting())


def test_rules_stand_before_networks_whatever_was_imported_first():
    needs = [SAMPLERS[name].needs == "networks" for name in sampler_names()]
    assert needs == sorted(needs) and any(needs) and not all(needs)


def test_unknown_and_taken_names_are_named():
    with pytest.raises(
        ValueError, match=r"sampler \('loudest'\) must be one of empirical, .* or of a plugin"
    ):
        make_sampler("loudest", Setting())
    with pytest.raises(ValueError, match=r"name \('visual'\) is another sampler's"):
        register_maker("visual")(lambda setting: None)
