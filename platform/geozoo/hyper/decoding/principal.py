"""Principal components of training states as a decoder: what as many numbers keep of a network without a model."""

from __future__ import annotations

import numpy as np

MAX_TRAINING_WEIGHTS = 2**27
EXACT_PARAMETERS = 5_000


def through_components(train: np.ndarray, states: np.ndarray, components: int, seed: int = 0) -> np.ndarray:
    """States ``[n, params]`` as the first principal components of training states ``[m, params]`` keep them.

    The mean and ``components`` numbers for each state, or as many as ``m`` states have, float32. No linear code of so
    many numbers keeps more of the training states. Up to 5,000 parameters the components are exact (eigenvectors of the
    covariance), beyond that scikit-learn's randomised ones, since a covariance would not fit into memory. Of more than
    2^27 training weights every second, third, ... state is taken.
    """
    from sklearn.decomposition import PCA

    taken = train[:: -(-train.size // MAX_TRAINING_WEIGHTS)]
    solver = "covariance_eigh" if train.shape[1] <= EXACT_PARAMETERS else "randomized"
    count = min(components, len(taken) - 1, taken.shape[1])
    fitted = PCA(count, svd_solver=solver, random_state=seed).fit(taken)
    return np.asarray(fitted.inverse_transform(fitted.transform(states)), dtype=np.float32)
