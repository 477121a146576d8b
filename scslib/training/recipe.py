"""The recipe of a run's samplers: all training settings, kept as JSON."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

from scslib.training.schedule import Schedule

if TYPE_CHECKING:
    from scslib.jobs.run_folder import Run

FILE = "checkpoints", "recipe.json"


@dataclass(frozen=True)
class Recipe:
    """How a sampler is trained: AC, then RANK from it (paper, sec. 3.1).

    ac = None: RANK starts from scratch. See `sampler.train_ac` and `train_rank` for `pictures`,
    `clips_per_video`, `eta` and `form`, `models.samplers` for `backbone` and the widths.
    iframe_trunk: a classifier `timm:...` (see `models.specs`) whose trunk the network of the I-frames
    begins with; frozen: it stays as it is, and only its head learns.
    """

    ac: Schedule | None
    rank: Schedule
    width: int
    sound_width: int
    backbone: str = "resnet18"
    iframe_trunk: str = ""
    frozen: bool = True
    pictures: int = 3
    clips_per_video: int = 16
    eta: float = 1.0
    form: str = "hinge"


def make_recipe(
    *,
    ac_steps: int,
    ac_least: int,
    rank_steps: int,
    look_every: int,
    patience: int,
    sampler_batch: int,
    sampler_lr: float,
    sampler_width: int,
    sound_width: int,
    backbone: str,
    iframe_trunk: str,
    frozen_trunk: bool,
    pictures: int,
    clips_per_ranking: int,
    eta: float,
    rank_form: str,
) -> Recipe:
    """The recipe of the parameters of notebook 05, by their names there."""
    rank = Schedule(
        rank_steps, batch=sampler_batch, lr=sampler_lr, look_every=look_every, patience=patience
    )
    return Recipe(
        ac=replace(rank, steps=ac_steps, least=ac_least),
        rank=rank,
        width=sampler_width,
        sound_width=sound_width,
        backbone=backbone,
        iframe_trunk=iframe_trunk,
        frozen=frozen_trunk,
        pictures=pictures,
        clips_per_video=clips_per_ranking,
        eta=eta,
        form=rank_form,
    )


def save_recipe(run: Run, recipe: Recipe) -> None:
    """Keep the recipe in RUN/checkpoints/recipe.json."""
    run.save_json(asdict(recipe), *FILE)


def load_recipe(run: Run) -> Recipe:
    """The recipe by which notebook 05 trained the samplers of this run.

    Raises `WorkspaceError` where there is none, `ValueError` where it is incomplete.
    """
    run.need(run.inside(*FILE), "05")
    values = run.load_json(*FILE)
    try:
        schedules = {
            kind: Schedule(**values[kind]) if values[kind] is not None else None
            for kind in ("ac", "rank")
        }
        return Recipe(**values | schedules)
    except (KeyError, TypeError) as error:
        raise ValueError(f"{run.inside(*FILE)}: incomplete or wrong ({error})") from error
