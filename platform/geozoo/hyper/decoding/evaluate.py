"""What trained models make of held-out members: decoded networks beside trivial decoders."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from geozoo.errors import InputError
from geozoo.hyper.decoding.decoded import DecodedEvaluation, HeldOut, Training
from geozoo.hyper.decoding.principal import through_components
from geozoo.hyper.decoding.titles import model_titles
from geozoo.hyper.networks import Networks, activation_codes
from geozoo.hyper.query_images import QueryImages, images_of
from geozoo.hyper.sources import align_states, keep_states, select_part

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from geozoo.hyper.decoding.decoded_scores import DecodedScores
    from geozoo.hyper.stream import ZooStates
    from geozoo.hyper.trained import TrainedModel
    from geozoo.store import Split, Zoo

    Progress = Callable[[str, int, int], None]

MAX_MEMBERS = 150
MAX_TRAINING_STATES = 20_000


@dataclass(frozen=True)
class Decoded:
    """The scores of one set of states, ``final`` or ``all`` checkpoints: by decoder, one for each model (seed)."""

    epochs: str
    decoders: dict[str, list[DecodedScores]]

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        scores = {name: [one.to_dict() for one in runs] for name, runs in self.decoders.items()}
        return {"epochs": self.epochs, "decoders": scores}


def evaluate_models(
    models: Sequence[TrainedModel], zoo: Zoo, progress: Progress | None = None, seed: int = 0
) -> list[Decoded]:
    """Decode held-out members with each model, and score what comes out, at the last epoch and at all learned ones.

    At most 150 test members are decoded. Models of one experiment that differ in their seed alone are one decoder; all
    others are told apart (`geozoo.hyper.decoding.titles`). Beside them stand trivial decoders and as many principal
    components as a latent has numbers, of the states that the first such model learned from. The images are test images
    that no model was asked about in training. R2 compares with the states in the order of units that the model learned
    them in.

    Raises:
        InputError: a model was trained on another network, or no member is held out.
        DataNotFoundError: the images of the zoo are not there.
    """
    report = progress or (lambda *_: None)
    places = [model.zoo_of(zoo.layout) for model in models]
    images = QueryImages.of(images_of(zoo))
    titles = model_titles([model.card for model in models])
    tables: dict[str, dict[str, list[DecodedScores]]] = {"final": {}, "all": {}}
    for number, (model, place, title) in enumerate(zip(models, places, titles, strict=True)):
        report(f"decoding with {title}", number, len(models))
        held_out, learned = (_states(model, zoo, place, part) for part in ("test", "train"))
        train = learned.read(_some(learned, seed))
        mean, components = model.decode_mean(train, place), model.latent_size(place)
        for epochs, decoders in tables.items():
            chosen = held_out if epochs == "all" else _last(held_out)
            evaluation = _evaluation(zoo, chosen, learned, images, seed)
            weights = evaluation.held_out.weights
            decoders.setdefault(title, []).append(evaluation.score(model.reconstruct(weights, place)))
            baselines = evaluation.baselines(mean)
            decoders.setdefault(f"{title}: mean embedding", []).append(baselines.pop("decoded mean embedding"))
            if (compressed := f"{components} principal components") not in decoders:
                decoders[compressed] = [evaluation.score(through_components(train, weights, components, seed))]
            if number == 0:
                decoders |= {name: [scores] for name, scores in baselines.items()}
    report("decoding", len(models), len(models))
    return [Decoded(epochs, decoders) for epochs, decoders in tables.items()]


def _states(model: TrainedModel, zoo: Zoo, place: int, part: Split) -> ZooStates:
    settings = model.card.experiment.states
    states = select_part(zoo, part, settings)
    if part == "train":
        states = keep_states(states, np.isin(states.selection.members, list(model.train_members)))
        if not len(states):
            raise InputError(
                f"model {model.name!r} was trained on no member of zoo {zoo.header.name!r}: give the zoo it was "
                "trained on."
            )
    else:
        first = np.unique(states.selection.members)[:MAX_MEMBERS]
        states = keep_states(states, np.isin(states.selection.members, first))
    if settings.align:
        states = align_states(states, model.codec.space(place).reference.cpu().numpy())
    return states


def _last(states: ZooStates) -> ZooStates:
    return keep_states(states, states.selection.epochs == states.selection.epochs.max())


def _some(states: ZooStates, seed: int) -> np.ndarray:
    count = min(len(states), MAX_TRAINING_STATES)
    return np.sort(np.random.default_rng(seed).choice(len(states), count, replace=False))


def _evaluation(zoo: Zoo, held_out: ZooStates, learned: ZooStates, images: QueryImages, seed: int) -> DecodedEvaluation:
    rows = _some(learned, seed)
    members, epochs = learned.selection.members[rows], learned.selection.epochs[rows]
    accuracy = zoo.read_metrics(["validation_accuracy"], sorted(set(epochs.tolist())), sorted(set(members.tolist())))
    by_state = accuracy.set_index(["member", "epoch"])["validation_accuracy"]
    return DecodedEvaluation(
        Networks.of(zoo),
        zoo.layout,
        HeldOut(
            held_out.read(slice(None)),
            activation_codes(held_out.activations).numpy(),
            held_out.selection.members,
            held_out.selection.epochs,
        ),
        Training.of(
            learned.read(rows),
            activation_codes(learned.activations[rows]).numpy(),
            by_state.loc[list(zip(members, epochs, strict=True))].to_numpy(),
        ),
        images.evaluation,
        images.labels,
        seed=seed,
    )
