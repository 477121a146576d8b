"""Clip samplers: what one is, which there are, how yours is added.

from scslib.samplers import register_sampler, register_policy, register_reader, check
"""

__all__ = ["Clips", "check", "load_plugins", "register_policy", "register_reader", "register_sampler"]


def __getattr__(name: str):
    """Imports what is wanted when it is: processes that only read videos need no PyTorch."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from scslib.samplers import registry  # first, so that names of the kit are taken # noqa: F401, I001
    from scslib.samplers import clips, contract, plugins, readers, register, set_policies

    homes = {"Clips": clips, "check": contract, "load_plugins": plugins, "register_sampler": register}
    homes |= {"register_policy": set_policies, "register_reader": readers}
    return getattr(homes[name], name)
