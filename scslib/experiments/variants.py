"""Variants of a run's samplers: change one thing, train again, compare on the same videos."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from scslib.datasets.manifest import Dataset, Parts, training_parts
from scslib.evaluation.statistics import intervals
from scslib.evaluation.table import evaluate, saliency_table
from scslib.experiments.material import honest_scores, lessons_of
from scslib.experiments.train import train_side_by_side
from scslib.jobs import devices
from scslib.jobs.run_folder import Run
from scslib.jobs.shard_files import Shards
from scslib.models.samplers import SamplerNetwork
from scslib.samplers import fusion
from scslib.samplers.bundle import SamplerBundle, load_trained
from scslib.samplers.extraction import extract_features
from scslib.samplers.features import FeatureSpec
from scslib.samplers.learned import LearnedSampler, NetworkScores
from scslib.training.recipe import Recipe
from scslib.training.sampler import Lessons, TrainedNetworks, train_sampler

NetworksOfSeed = Mapping[int, tuple[SamplerNetwork, ...]]  # by seed: those whose scores are averaged


@dataclass(frozen=True, eq=False)
class Bench:
    """A bench of what a run has kept, for variants of its samplers. They are trained, and judged on its
    test videos.

    parts: the training videos by their use; learnt, test: the features of the training and the test
    videos; scores: f's of the test videos; held: `material.honest_scores`; trained: the run's samplers
    by seed; spec: how the features were read.
    """

    run: Run
    dataset: Dataset
    parts: Parts
    learnt: Shards
    test: Shards
    scores: Shards
    held: Sequence[Shards]
    trained: Mapping[int, SamplerBundle]
    spec: FeatureSpec
    k: int
    device: str
    workers: int

    @property
    def seeds(self) -> list[int]:
        """The seeds of notebook 05."""
        return list(self.trained)

    @property
    def lessons(self) -> Lessons:
        """What `learnt` teaches, see `material.lessons_of`."""
        return lessons_of(self.dataset, self.parts, self.learnt, self.held)

    def reading(self, spec: FeatureSpec) -> Bench:
        """The bench of the same run with all videos read as `spec` says."""
        learnt, test = (
            extract_features(
                self.dataset,
                videos,
                self.run.cache("features"),
                spec,
                device=self.device,
                workers=self.workers,
            )
            for videos in (pd.concat(self.parts, ignore_index=True), self.dataset.split("test"))
        )
        return replace(self, learnt=learnt, test=test, spec=spec)

    def train(
        self,
        modality: str,
        recipes: Mapping[str, Recipe],
        *,
        seeds: Sequence[int],
        ac: Mapping[int, SamplerNetwork] | None = None,
    ) -> dict[str, dict[int, TrainedNetworks]]:
        """Train the sampler of one input by each recipe with each seed; results by recipe and seed.

        ac: networks that AC has trained, by seed; then only RANK is trained. On CPUs, `workers` train
        side by side. What the run has in its cache is not trained again.
        """
        lessons = self.lessons
        jobs = [
            _Training(
                modality,
                self.learnt,
                lessons,
                recipe,
                len(self.dataset.classes),
                seed,
                self.device,
                ac[seed] if ac else None,
                self.run.cache("choices"),
            )
            for recipe in recipes.values()
            for seed in seeds
        ]
        if self.workers != 1 and self.device == "cpu":
            train_side_by_side([(_Training.run, job) for job in jobs], self.workers)
        networks = iter([job.run() for job in jobs])
        return {name: {seed: next(networks) for seed in seeds} for name in recipes}

    def judge(self, variants: Mapping[str, NetworksOfSeed]) -> pd.DataFrame:
        """Accuracy of each variant on the test videos, with intervals, in their order.

        variants: for each name and seed, the networks whose scores are averaged.
        """
        videos = self._readable(self.test)
        return self.judge_saliency(
            pd.concat(
                [
                    saliency_table([_averaged(name, networks)], self.test, videos, seed)
                    for name, of_seed in variants.items()
                    for seed, networks in of_seed.items()
                ],
                ignore_index=True,
            )
        )

    def judge_averages(self, objective: str, groups: Mapping[str, tuple[str, ...]]) -> pd.DataFrame:
        """Accuracy of averages of the run's own networks, as `judge` gives it.

        groups: for each name the networks, such as ("iframes", "motion"). No network is run again.
        """
        tables = []
        for seed in self.seeds:
            kept = self.run.kept(f"scores-{objective}-seed{seed}", notebook="06")
            scores = NetworkScores(objective, kept)
            samplers = [scores.averaged(name, networks) for name, networks in groups.items()]
            tables.append(saliency_table(samplers, self.test, self._readable(kept), seed))
        return self.judge_saliency(pd.concat(tables, ignore_index=True))

    def _readable(self, others: Shards) -> list[str]:
        """The test videos that are in `test` and in `others`."""
        videos = self.dataset.split("test")["video_id"]
        return [v for v in videos if v in self.test and v in others]

    def judge_saliency(self, saliency: pd.DataFrame) -> pd.DataFrame:
        """Accuracy of the methods of a `table.saliency_table`, as `judge` gives it."""
        rows = self.answers(saliency, k=self.k)
        names = saliency["method"].unique()
        return intervals(rows[rows["method"].isin(names)], videos=len(self.dataset.split("test")))

    def answers(self, saliency: pd.DataFrame, *, k: int) -> pd.DataFrame:
        """One row for each method, seed and test video, see `table.evaluate`."""
        return evaluate(
            self.dataset,
            self.dataset.split("test"),
            self.scores,
            self.test,
            saliency,
            k=k,
            seeds=sorted(saliency["seed"].unique()),
        )

    def choose_fusions(
        self, values: Sequence[float]
    ) -> tuple[dict[str, dict[int, float]], dict[tuple[str, int], np.ndarray]]:
        """Each late fusion's number of each seed, chosen on validation videos.

        The number is alpha, or K'/K. Returns the numbers by rule and seed, and by (rule, seed) f's
        probability of the true class in the clips picked with each of `values`. Without validation
        videos with sound: 0.5, and zeros.
        """
        lessons = self.lessons
        heard = [v for v in lessons.validation_targets if self.learnt.has(v, "audio")]
        numbers: dict[str, dict[int, float]] = {rule: {} for rule in fusion.RULES}
        worth: dict[tuple[str, int], np.ndarray] = {}
        for seed, bundle in self.trained.items():
            sight, sound = (bundle.sampler(name, k=self.k) for name in ("visual", "audio"))
            videos = [
                (
                    sight.saliency(self.learnt, v),
                    sound.saliency(self.learnt, v),
                    lessons.validation_targets[v],
                )
                for v in heard
            ]
            for rule in fusion.RULES:
                number, curve = 0.5, np.zeros(len(values))
                if videos:
                    number, curve = fusion.best_number(rule, videos, k=self.k, values=values)
                numbers[rule][seed], worth[rule, seed] = number, curve
        return numbers, worth


def open_bench(run: Run, dataset: Dataset, *, k: int, device: str, workers: int) -> Bench:
    """The bench of a run. Raises `WorkspaceError` where its notebooks 03 to 06 have not been run."""
    notes, device = run.notes(), str(devices.choose(device))
    parts = training_parts(dataset.split("train"), notes["held_out"], notes["validation"])
    trained = {
        seed: load_trained(run.folder, objective=notes["objective"], seed=seed, device=device)
        for seed in notes["seeds"]
    }
    return Bench(
        run=run,
        dataset=dataset,
        parts=parts,
        learnt=run.kept("features-training", notebook="05"),
        test=run.kept("features-test", notebook="06"),
        scores=run.kept("dense-test", notebook="04", of=run.checkpoint("classifier")),
        held=honest_scores(run, dataset, parts, device=device, workers=workers),
        trained=trained,
        spec=next(iter(trained.values())).spec,
        k=k,
        device=device,
        workers=workers,
    )


def _averaged(name: str, networks: tuple[SamplerNetwork, ...]) -> LearnedSampler:
    return LearnedSampler(name, "rank" if networks[0].head.out_features == 1 else "ac", networks)


@dataclass(frozen=True, eq=False)
class _Training:
    modality: str
    features: Shards
    lessons: Lessons
    recipe: Recipe
    classes: int
    seed: int
    device: str
    ac: SamplerNetwork | None
    cache: Path

    def run(self) -> TrainedNetworks:
        recipe = f"{zlib.crc32(repr(self.recipe).encode()):08x}"
        kept = f"{self.modality}-{self.features.folder.name}-seed{self.seed}-{recipe}"
        return train_sampler(
            self.modality,
            self.features,
            self.lessons,
            self.recipe,
            classes=self.classes,
            seed=self.seed,
            device=self.device,
            ac=self.ac,
            resume=self.cache / kept,
        )
