"""Video classifiers of transformers as f: `hf:FOLDER`, `hf:ORGANISATION/NAME`.

Frames, sizes, mean and std are those of the checkpoint's own config and processor. transformers comes
with the extra `hf`: pip install "scslib[hf]".
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import nn

from scslib.models.views import View

if TYPE_CHECKING:
    from transformers import PreTrainedModel

# What to read, and what to make of it: two halves of one call of the processor
FIT = {"do_rescale": False, "do_normalize": False}
NORMALISE = {"do_resize": False, "do_center_crop": False}
TYPES = ("video_processor_type", "image_processor_type", "feature_extractor_type")


@dataclass(frozen=True, eq=False)
class ProcessorInput(View):
    """What a checkpoint's processor makes of the frames of a clip.

    settings: the processor's own, as its file has them.
    """

    frames: int
    frame_rate: float
    settings: dict = field(repr=False)
    clip_len: int = 0

    def fit(self, clips: torch.Tensor) -> torch.Tensor:
        # ViViT moves values to -1..1 while it scales them
        steps = FIT | ({"offset": False} if hasattr(self.processor, "offset") else {})
        return self._processed(self.some(clips).cpu(), steps).movedim(2, -1)

    def normalise(self, fitted: torch.Tensor, *, crops: int | None = None) -> torch.Tensor:
        return self._processed(fitted.cpu(), NORMALISE).transpose(1, 2).to(fitted.device)

    def _processed(self, clips: torch.Tensor, steps: dict[str, bool]) -> torch.Tensor:
        """(B, T, H, W, 3) to the processor's (B, T, 3, h, w)."""
        name = self.processor.model_input_names[0]
        if "video_processor_type" in self.settings:
            videos = list(clips.movedim(-1, 2))
            return self.processor(videos, return_tensors="pt", **steps)[name]
        images = [list(clip.numpy()) for clip in clips]
        done = self.processor(images, return_tensors="pt", input_data_format="channels_last", **steps)
        return done[name]

    @cached_property
    def processor(self):
        import transformers

        kind = next(self.settings[t] for t in TYPES if t in self.settings)
        if not isinstance(kind, str) or not kind.isidentifier() or "Processor" not in kind:
            raise ValueError(f"processor ({kind!r}) must be one of transformers'")
        return getattr(transformers, kind).from_dict(self.settings)


class HubNetwork(nn.Module):
    """A video classifier of transformers. It takes (B, 3, T, H, W) and gives logits (B, classes)."""

    head_name = "model.classifier"

    def __init__(self, model: PreTrainedModel):
        super().__init__()
        self.model = model

    def forward(self, clips: torch.Tensor) -> torch.Tensor:
        return self.model(**{self.model.main_input_name: clips.transpose(1, 2)}).logits


def load_hf(source: str) -> tuple[HubNetwork, ProcessorInput, list[str]]:
    """A network, what it sees, and its classes' names, from a checkpoint. The checkpoint is a folder,
    or a name on the hub.

    Weights are read from safetensors only. Raises `ValueError` where there is no such checkpoint.
    """
    from transformers import AutoModelForVideoClassification

    try:
        model = AutoModelForVideoClassification.from_pretrained(source, use_safetensors=True)
    except (OSError, KeyError, ValueError) as error:
        raise ValueError(f"hf:{source}: {str(error).splitlines()[0]}") from error
    names = [model.config.id2label[i] for i in range(model.config.num_labels)]
    return HubNetwork(model), hf_view(model.config, _processor_settings(source)), names


def files(source: str) -> list[Path]:
    """The files of a checkpoint's settings and weights. They lie in its folder or in the hub's cache."""
    folder = Path(source)
    if not folder.is_dir():
        from transformers.utils import cached_file

        config = cached_file(source, "config.json")
        if config is None:
            raise ValueError(f"hf:{source}: has no config.json")
        folder = Path(config).parent
    return sorted([*folder.glob("*config.json"), *folder.glob("*.safetensors")])


def hf_view(config, settings: dict) -> ProcessorInput:
    """What a model of this config sees; a config names no frame rate, so that 7.5 a second are taken."""
    frames = getattr(config, "num_frames", None) or getattr(config, "frames_per_clip", None)
    if not frames:
        raise ValueError(f"{config.model_type}: its config names no number of frames")
    return ProcessorInput(int(frames), 7.5, settings)


def build_hf(config: dict, classes: int) -> HubNetwork:
    """A freshly initialised network of a config, as its `to_dict` gives it."""
    from transformers import AutoConfig, AutoModelForVideoClassification

    config = {k: v for k, v in config.items() if k not in ("auto_map", "id2label", "label2id")}
    made = AutoConfig.for_model(**config)
    made.num_labels = classes
    return HubNetwork(AutoModelForVideoClassification.from_config(made, trust_remote_code=False))


def _processor_settings(source: str) -> dict:
    """The content of the checkpoint's file for its processor."""
    from transformers.utils import cached_file

    for name in ("video_preprocessor_config.json", "preprocessor_config.json"):
        path = cached_file(source, name, _raise_exceptions_for_missing_entries=False)
        if path is not None:
            with open(path, encoding="utf-8") as file:
                return json.load(file)
    raise ValueError(f"hf:{source}: has no preprocessor_config.json: what it sees is not known")
