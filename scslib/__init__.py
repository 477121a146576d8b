"""Salient clip sampling. For any video: `sample`, `load_trained`, `export`."""

from scslib.jobs import openmp as openmp  # first: PyTorch's threads look at it when they are loaded

__version__ = "0.1.0"
__all__ = ["export", "load_trained", "sample"]


def __getattr__(name: str):
    """Imports torch when it is wanted, not when a module of the kit is."""
    if name == "sample":
        from scslib.sampling.one_video import sample

        return sample
    if name in ("export", "load_trained"):
        from scslib.samplers import bundle

        return getattr(bundle, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
