"""All samplers by name, and how one is made from a run."""

from __future__ import annotations

from scslib.samplers import cascade, learned, rules  # noqa: F401 - they register themselves
from scslib.samplers.base import REGISTRY, Sampler, Setting


def sampler_names(*needs: str) -> list[str]:
    """The names of all samplers, or of those that need one of `needs` (`""`: nothing); rules first."""
    names = [name for name, entry in REGISTRY.items() if not needs or entry.needs in needs]
    return sorted(names, key=lambda name: REGISTRY[name].needs == "networks")


def make_sampler(name: str, setting: Setting) -> Sampler:
    """The sampler of a name. Raises `ValueError` for an unknown one, or for what the setting lacks."""
    if name not in sampler_names():
        raise ValueError(f"sampler ({name!r}) must be one of {sampler_names()}")
    make, needs = REGISTRY[name]
    if needs == "targets" and not len(setting.targets):
        raise ValueError(f"sampler ({name!r}) needs f's scores of training videos, and none are given")
    return make(setting)
