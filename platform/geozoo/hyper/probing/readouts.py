"""Readouts: what is fitted from features of weights to a property. One registry for both kinds of property."""

from __future__ import annotations

from geozoo.hyper.probing.fitting import Readout
from geozoo.hyper.probing.perceptron import prepare_perceptron_classifier, prepare_perceptron_regressor
from geozoo.hyper.probing.ridge import prepare_ridge, prepare_standardised_ridge
from geozoo.hyper.probing.softmax import prepare_softmax
from geozoo.hyper.probing.trees import prepare_tree_classifier, prepare_tree_regressor

READOUTS: tuple[Readout, ...] = (
    Readout("linear", "regression", "ridge", prepare_ridge),
    Readout("standardised", "regression", "scaled ridge", prepare_standardised_ridge),
    Readout("trees", "regression", "trees", prepare_tree_regressor),
    Readout("mlp", "regression", "MLP", prepare_perceptron_regressor),
    Readout("linear", "classification", "softmax", prepare_softmax),
    Readout("trees", "classification", "trees", prepare_tree_classifier),
    Readout("mlp", "classification", "MLP", prepare_perceptron_classifier),
)
