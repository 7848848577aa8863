"""All analyses of one zoo, each bounded in time, each left out with a sentence where it cannot be done."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from geozoo.errors import InputError
from geozoo.hyper.analysis.barrier import draw_pairs, measure_barriers, weight_matching
from geozoo.hyper.analysis.evaluate import Evaluator, images_of
from geozoo.hyper.analysis.findings import FINAL, OVER_EPOCHS, HomogeneityRow, Landscape, MemberSurfaces, Variance
from geozoo.hyper.analysis.homogeneity import NEIGHBOURS, homogeneity, nearest_other_members
from geozoo.hyper.analysis.maps import METHODS, Map, pca_map, umap_map
from geozoo.hyper.analysis.sample import SPACES, draw_members, read_sample, spread_evenly, standardise
from geozoo.hyper.analysis.similarity import compare_members
from geozoo.hyper.analysis.surface import random_surface, trajectory_surface
from geozoo.hyper.analysis.variance import main_effects, split_by_seed
from geozoo.hyper.probing.states import read_population
from geozoo.hyper.probing.targets import RESULTS, varying_hyperparameters

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import pandas as pd
    from numpy.typing import NDArray

    from geozoo.datasets import ImageSet
    from geozoo.hyper.analysis.barrier import Align, Barrier
    from geozoo.hyper.analysis.sample import Embed, Sample
    from geozoo.hyper.analysis.similarity import Similarity
    from geozoo.hyper.probing.states import Progress
    from geozoo.store import Zoo

TRACED, MAX_TRACED = 6, 8
COMPARED = 24
SURFACES = 2
PAIRS = 12
T = TypeVar("T")


class Analysis:
    """The analyses of one zoo, one method each, on members drawn once.

    Args:
        zoo: an open zoo, finished or not; committed members that did not diverge are used.
        members: ids of members to look at closely (trajectories, surfaces, similarity, barriers), before those that are
            chosen for being spread over the final accuracies.
        embed: a trained model's embedding.
        align: what aligns two members before the line between them is walked a second time; by default weight matching
            over the network's symmetry, where that is known.
        images: the image set of the zoo; None loads it from where its recipe says.
        seed: of every draw.
        progress: called with what is being done, how much is done, and how much there is.

    Raises:
        InputError: no member can be used, or there is no member of a given id.
    """

    def __init__(
        self,
        zoo: Zoo,
        *,
        members: Sequence[str] = (),
        embed: Embed | None = None,
        align: Align | None = None,
        images: ImageSet | None = None,
        seed: int = 0,
        progress: Progress | None = None,
    ) -> None:
        self.zoo, self.embed, self.seed = zoo, embed, seed
        self.progress = progress or (lambda *_: None)
        self.population = read_population(zoo, "member")
        self.table = self.population.members.set_index("member", drop=False)
        if unknown := [member for member in members if member not in self.table.index]:
            raise InputError(
                f"{unknown[0]!r} is no committed member of zoo {zoo.header.name!r} with finite weights: "
                "see its members."
            )
        final = self.population.metrics["test_accuracy"].xs(zoo.checkpoints[-1], level="epoch")
        self.final_accuracy: pd.Series[Any] = final.reindex(self.table.index).astype(float)
        self.wanted = list(dict.fromkeys(members))
        self.left_out: dict[str, str] = {}
        self.align = align or self._attempt("alignment", lambda: weight_matching(zoo))
        self._images = images
        self.sample, self.traced = self._samples()

    def run(self) -> Landscape:
        """Do all analyses."""
        maps = self.maps()
        rows = self._attempt("homogeneity", self.homogeneity) or []
        data = self._attempt("images", lambda: self._images or images_of(self.zoo))
        similarity = self._attempt("similarity", lambda: self.similarity(data)) if data else None
        evaluator = self._attempt("surfaces and barriers", lambda: self._evaluator(data)) if data else None
        surfaces = self._attempt("surfaces", lambda: self.surfaces(evaluator)) if evaluator else None
        barriers = self._attempt("barriers", lambda: self.barriers(evaluator)) if evaluator else None
        return Landscape(
            zoo=self.zoo,
            population=self.population,
            sample=self.sample,
            traced=self.traced,
            maps=tuple(maps),
            homogeneity=tuple(rows),
            similarity=similarity,
            surfaces=tuple(surfaces or ()),
            barriers=tuple(barriers or ()),
            variance=self._attempt("variance", self.variance),
            final_accuracy=self.final_accuracy,
            image_count=evaluator.images if evaluator else 0,
            left_out=self.left_out,
        )

    def _attempt(self, name: str, analysis: Callable[[], T]) -> T | None:
        """The result of an analysis, or None and the reason kept."""
        try:
            return analysis()
        except InputError as error:
            self.left_out[name] = f"{str(error).rstrip('.')}."
            return None

    def _samples(self) -> tuple[Sample, Sample]:
        """The states of the maps, and all epochs of the members that are traced."""
        checkpoints = self.zoo.checkpoints
        rows, states = draw_members(len(self.table), len(checkpoints), self.zoo.header.num_parameters, self.seed)
        arguments = (self.embed, self.progress)
        sample = read_sample(self.zoo, self.population, rows, spread_evenly(checkpoints, states), *arguments)
        chosen = self.choose(TRACED)[:MAX_TRACED]
        at = np.array([self.table.index.get_loc(member) for member in chosen], dtype=np.intp)
        traced = read_sample(self.zoo, self.population, at, checkpoints, *arguments)
        return standardise(sample, sample), standardise(traced, sample)

    def choose(self, count: int) -> list[str]:
        """The members asked for, then others spread over the final accuracies up to ``count``, best first."""
        ranked = [member for member in self.final_accuracy.sort_values().index if member not in self.wanted]
        more = min(count - len(self.wanted), len(ranked))
        spread = spread_evenly(ranked, more) if more > 0 else ()
        return sorted({*self.wanted, *spread}, key=lambda member: (-self.final_accuracy[member], member))

    def maps(self, methods: Sequence[str] = tuple(METHODS)) -> list[Map]:
        """Maps of the sample in every space, by some of `METHODS`, with the traced states put in."""
        found = []
        for number, space in enumerate(self.sample.spaces):
            points = [_flat(part.spaces[space]) for part in (self.sample, self.traced)]
            for step, method in enumerate(methods):
                self.progress(
                    f"map of {SPACES[space]}", len(methods) * number + step, len(methods) * len(self.sample.spaces)
                )
                if method == "pca":
                    found.append(Map(space, method, *pca_map(points[0], points[1])))
                elif (places := self._attempt("umap", partial(umap_map, points[0], points[1], self.seed))) is not None:
                    found.append(Map(space, method, places))
        return found

    def homogeneity(self) -> list[HomogeneityRow]:
        """Every property at the final epoch, and results over the epochs of the sample, in every space."""
        count = len(self.sample.members)
        if count < 2 * NEIGHBOURS:
            raise InputError(
                f"{count} members are too few to ask for {NEIGHBOURS} neighbours: at least {2 * NEIGHBOURS}."
            )
        rows = []
        for number, (space, points) in enumerate(self.sample.spaces.items()):
            self.progress(f"neighbours by {SPACES[space]}", number, len(self.sample.spaces))
            for states, part in ((FINAL, slice(-1, None)), (OVER_EPOCHS, slice(None))):
                if states == OVER_EPOCHS and len(self.sample.epochs) < 2:
                    continue
                names = [target.name for target in self.sample.properties if states == FINAL or target.name in RESULTS]
                rows += self._neighbours(space, states, points[:, part], names, part)
        return rows

    def _neighbours(
        self, space: str, states: str, points: NDArray[Any], names: Sequence[str], part: slice
    ) -> list[HomogeneityRow]:
        nearest: dict[bytes, NDArray[np.intp]] = {}
        rows = []
        for target in self.sample.properties:
            if target.name not in names:
                continue
            shape = (len(self.sample.members), len(self.sample.epochs))
            known = target.present.reshape(shape)[:, part].all(axis=1)
            values = target.values.reshape(shape)[known][:, part]
            if known.sum() <= NEIGHBOURS or len(np.unique(values)) < 2:
                continue
            if known.tobytes() not in nearest:
                nearest[known.tobytes()] = nearest_other_members(points[known], NEIGHBOURS)
            result = homogeneity(
                values, nearest[known.tobytes()], categorical=target.kind == "classification", seed=self.seed
            )
            rows.append(HomogeneityRow(states, space, target.name, result))
        return rows

    def similarity(self, data: ImageSet) -> Similarity:
        """CKA and agreement between up to 24 final members, best first."""
        chosen = self.choose(COMPARED)
        if len(chosen) < 2:
            raise InputError("one member cannot be compared with others: populate more.")
        self.progress(f"similarity of {len(chosen)} members", 0, 1)
        return compare_members(self.zoo, chosen, self.zoo.checkpoints[-1], data)

    def _evaluator(self, data: ImageSet) -> Evaluator:
        return Evaluator.of(self.zoo, data)

    def surfaces(self, evaluator: Evaluator) -> list[MemberSurfaces]:
        """The loss on training images around the members asked for, else around the best and a middling one."""
        ranked = list(self.final_accuracy.sort_values(ascending=False).index)
        chosen = self.wanted or list(dict.fromkeys([ranked[0], ranked[len(ranked) // 2]]))
        found = []
        for number, member in enumerate(chosen[: max(SURFACES, len(self.wanted))]):
            self.progress("loss surfaces", number, len(chosen))
            activation = str(self.table.loc[member, "activation"])
            evaluate = evaluator.on("train", activation)
            states = self.zoo.states(member, self.zoo.checkpoints)
            around = random_surface(states[-1], self.zoo.layout, evaluate, self.seed)
            along = trajectory_surface(states, self.zoo.layout, evaluate) if len(states) >= 3 else None
            found.append(MemberSurfaces(member, activation, around, along))
        return found

    def barriers(self, evaluator: Evaluator) -> list[Barrier]:
        """Lines on test images between up to 12 pairs of members above chance that share their activation."""
        good = self.table[self.population.above_chance]
        if self.wanted:
            good = self.table.loc[self.wanted]
        pairs = draw_pairs(list(good["activation"].astype(str)), PAIRS, np.random.default_rng(self.seed))
        if not pairs:
            raise InputError("no two of the members above chance share their activation, so none are interpolated.")
        found = []
        for number, pair in enumerate(pairs):
            self.progress("interpolation barriers", number, len(pairs))
            two = good.iloc[list(pair)]
            weights = self.zoo.states(two["member"].tolist(), self.zoo.checkpoints[-1])
            evaluate = evaluator.on("test", str(two["activation"].iloc[0]))
            found += measure_barriers([(0, 1)], two["member"].tolist(), weights, evaluate, self.align)
        return found

    def variance(self) -> Variance:
        """What seeds and hyper-parameters explain of the final test accuracy."""
        known = self.final_accuracy.notna().to_numpy()
        members, accuracy = self.table[known], self.final_accuracy[known].to_numpy()
        if len(members) < 3 or not accuracy.var() > 0:
            raise InputError(f"the final accuracies of {len(members)} members have no spread to explain.")
        names = varying_hyperparameters(members.reset_index(drop=True))
        return Variance(split_by_seed(accuracy, members, names), tuple(main_effects(accuracy, members, names)))


def _flat(points: NDArray[Any]) -> NDArray[Any]:
    return points.reshape(-1, points.shape[-1])
