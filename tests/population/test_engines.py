from __future__ import annotations

import numpy as np
import torch

from geozoo.nets import build_network, derive_layout, unflatten
from geozoo.population import ENGINES
from geozoo.population.streams import Stream, counter_hash
from tests.support.engine_conformance import EngineConformance, EngineContract, train
from tests.support.population import MEAN, STD, cohort_job, hyperparameters, simulated_images


class TestReference(EngineContract):
    engine_name = "reference"

    def test_training_is_the_textbook_loop(self) -> None:
        """Against a loop written here from torch alone, with the order of the images taken from the streams."""
        images = simulated_images(train=35)
        job = cohort_job(images, [hyperparameters(optimizer="adam", lr=1e-3, weight_decay=1e-2)], seeds=[8], epochs=2)
        module = build_network(**job.network).double()
        module.load_state_dict(unflatten(torch.from_numpy(job.initial[0]).double(), derive_layout(module)))
        optimizer = torch.optim.Adam(module.parameters(), lr=1e-3, weight_decay=1e-2)
        inputs = (torch.tensor(np.array(images.train.images)).double() / 255 - MEAN) / STD
        labels = torch.tensor(np.array(images.train.labels))
        for epoch in (1, 2):
            order = sorted(range(35), key=lambda image: (counter_hash(8, Stream.ORDER, epoch, sample=image), image))
            for start in range(0, 35, 10):
                batch = order[start : start + 10]
                optimizer.zero_grad()
                torch.nn.functional.cross_entropy(module(inputs[batch]), labels[batch]).backward()
                optimizer.step()
        expected = torch.cat([p.detach().flatten() for p in module.parameters()]).numpy()
        np.testing.assert_allclose(train("reference", job, images)[-1].weights[0], expected, rtol=1e-6)


class TestTorch(EngineConformance):
    engine_name = "torch"


class TestLanes(EngineConformance):
    engine_name = "lanes"


def test_every_engine_has_a_conformance_class() -> None:
    assert {TestReference.engine_name, TestTorch.engine_name, TestLanes.engine_name} == set(ENGINES)
