"""Names of settings and metrics, here and in the published zoos."""

from __future__ import annotations

HYPERPARAMETER_NAMES = {
    "model::nlin": "activation",
    "model::init_type": "init",
    "optim::optimizer": "optimizer",
    "optim::lr": "lr",
    "optim::wd": "weight_decay",
    "optim::momentum": "momentum",
    "model::dropout": "dropout",
    "training::batchsize": "batch_size",
    "seed": "seed",
    "init_std": "init_std",
}
"""Setting of a published zoo -> column of a plan; ``init_std`` is ours, for zoos that went out and come back."""

METRIC_NAMES = {
    "train_loss": "running_train_loss",
    "train_acc": "running_train_accuracy",
    "val_loss": "validation_loss",
    "val_acc": "validation_accuracy",
    "validation_loss": "validation_loss",
    "validation_acc": "validation_accuracy",
    "test_loss": "test_loss",
    "test_acc": "test_accuracy",
    "ggap": "running_generalization_gap",
    "eval_train_loss": "train_loss",
    "eval_train_acc": "train_accuracy",
}
"""Metric of a published zoo -> metric here. Their training metrics are means over the epoch in
training mode, and ``ggap`` is such an accuracy minus the test accuracy; ``eval_*``
are ours, for what was measured in evaluation mode."""

NOT_EVALUATED = -999.0
"""What the published zoos log as training loss and accuracy of the initialisation, which has none."""

NETWORK_TYPES = {"cnn_s": "CNN", "cnn_l": "CNN3", "tetris_mlp": "MLP", "resnet18": "ResNet18"}
"""Network of the catalogue -> ``model::type`` of the published zoos."""

COMPUTED = ("finite", "generalization_gap", "running_generalization_gap")
"""Metrics that follow from the weights and from other metrics: every import computes them again."""

BOOKKEEPING = frozenset(
    {
        *("training_iteration", "done", "config", "trial_id", "experiment_id", "experiment_tag", "date", "timestamp"),
        *("time_this_iter_s", "time_total_s", "time_since_restore", "timesteps_since_restore", "timesteps_total"),
        *("iterations_since_restore", "episodes_total", "episodes_this_iter", "timesteps_this_iter", "warmup_time"),
        *("pid", "hostname", "node_ip", "should_checkpoint", "checkpoint_dir_name"),
    }
)
"""What Ray Tune adds to a row of results; no property of a model, and partly clocks and hosts, which no zoo stores."""

_SECRET = ("wandb", "api_key", "apikey", "token", "secret", "password", "credential")


def is_private(name: str) -> bool:
    """Whether a setting may hold what must not be passed on: accounts and keys."""
    return any(part in name.lower() for part in _SECRET)
