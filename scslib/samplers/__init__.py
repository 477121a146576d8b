"""Clip samplers: what one is, which there are, how yours is added.

from scslib.samplers import register_sampler, register_policy, register_reader, check
"""

from importlib import import_module

# Imported when they are wanted: processes that only read videos need no PyTorch
_HOMES = {
    "Clips": "clips",
    "check": "contract",
    "load_plugins": "plugins",
    "register_policy": "set_policies",
    "register_reader": "readers",
    "register_sampler": "register",
}
__all__ = [*_HOMES]


def __getattr__(name: str):
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import_module("scslib.samplers.registry")  # so that names of the kit are taken first
    return getattr(import_module(f"scslib.samplers.{_HOMES[name]}"), name)
