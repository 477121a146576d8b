"""The kit's clip classifiers f, by name (paper, sec. 3.1).

The networks have a file per family; here they stand in one registry, each with what it was made to see.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import nn

from scslib.models import specs
from scslib.models.csn import ip_csn_152, ir_csn_152
from scslib.models.i3d import i3d
from scslib.models.r2plus1d import r2plus1d_18, r2plus1d_34
from scslib.models.resnet3d import mc3_18, r3d_18
from scslib.models.views import LARGE_INPUT, LONG, SHORT, SYMMETRIC, ClassifierInput
from scslib.models.width import FULL_WIDTH


@dataclass(frozen=True)
class Classifier:
    """A way to build a network, and what it was made to see. It builds one for some number of classes
    and some width.
    """

    build: Callable[[int, int], nn.Module]
    view: ClassifierInput


CLASSIFIERS = {
    "mc3_18": Classifier(mc3_18, SHORT),
    "r3d_18": Classifier(r3d_18, SHORT),
    "r2plus1d_18": Classifier(r2plus1d_18, SHORT),
    "r2plus1d_34": Classifier(r2plus1d_34, LONG),
    "ir_csn_152": Classifier(ir_csn_152, LARGE_INPUT),
    "ip_csn_152": Classifier(ip_csn_152, LARGE_INPUT),
    "i3d": Classifier(i3d, SYMMETRIC),
}


def build_classifier(
    architecture: str, classes: int, width: int = FULL_WIDTH, settings: dict | None = None
) -> nn.Module:
    """A freshly initialised classifier by name. Raises `ValueError` for a name that is not known.

    It maps (B, 3, T, H, W) to logits (B, classes). `width`: channels after the first layer; with 64 it
    is the published network, with the published names of its weights. architecture: of `CLASSIFIERS`,
    or one of other libraries with its `settings`, such as `timm:resnet18`; see `specs.build_described`.
    """
    if ":" in architecture:
        return specs.build_described(architecture, classes, settings or {})
    if architecture not in CLASSIFIERS:
        raise ValueError(f"architecture ({architecture!r}) must be one of {sorted(CLASSIFIERS)}")
    if classes < 1 or width < 1:
        raise ValueError(f"classes ({classes}) and width ({width}) must be > 0")
    return CLASSIFIERS[architecture].build(classes, width)
