"""All samplers by name, and how one is made from a run."""

from __future__ import annotations

from scslib.samplers import cascade, focus, learned, rules  # noqa: F401 - they register themselves
from scslib.samplers.base import SAMPLERS, Sampler, Setting


def sampler_names(*needs: str) -> list[str]:
    """The names of all samplers, or of those that need one of `needs` (`""`: nothing); rules first."""
    names = [name for name in SAMPLERS if not needs or SAMPLERS[name].needs in needs]
    return sorted(names, key=lambda name: SAMPLERS[name].needs == "networks")


def make_sampler(name: str, setting: Setting) -> Sampler:
    """The sampler of a name. Raises `ValueError` for an unknown one, or for what the setting lacks."""
    if name not in SAMPLERS:
        known = ", ".join(sampler_names())
        raise ValueError(f"sampler ({name!r}) must be one of {known}, or of a plugin that is named")
    make, needs = SAMPLERS[name]
    if needs == "targets" and not len(setting.targets):
        raise ValueError(f"sampler ({name!r}) needs f's scores of training videos, and none are given")
    if needs == "fitted" and name not in setting.fitted:
        raise ValueError(f"sampler ({name!r}) is not trained: name its file in notebook 05's plugins")
    return make(setting)
