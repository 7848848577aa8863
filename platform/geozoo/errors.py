"""Every error geozoo raises on purpose.

    GeozooError
    ├── InputError (ValueError)            exit 2: what was asked for cannot be done
    │   ├── RecipeError                    a recipe or an override is wrong
    │   ├── DataNotFoundError (FileNotFoundError)
    │   ├── DataCorruptError               a file that is read is damaged
    │   ├── UnsafeFileError                a file holds more than data, such as a pickle that would run code
    │   ├── BandError                      a sensor or a band does not exist or is not there
    │   ├── NetworkError                   a network does not exist or does not fit
    │   ├── ZooNotFoundError (FileNotFoundError)
    │   ├── ZooMismatchError               the zoo there was made from something else
    │   └── StoreUnusableError             a URL that cannot be read or written as a zoo store
    └── RunError (RuntimeError)            exit 1: a job started and did not end well
        ├── StoreLostError (OSError)       the store failed in the middle of a run
        ├── PopulateError                  some cohorts are not committed
        │   └── InterruptedRunError        exit 130: Ctrl-C
        ├── TrainingError                  a training run cannot go on
        │   └── InterruptedTrainingError   exit 130: Ctrl-C
        ├── NotCommittedError (LookupError)
        └── DamagedZooError                stored bytes are missing or not what was committed

A message is one sentence: what, the offending value, the rule, the remedy.
"""


class GeozooError(Exception):
    """Base of all errors raised on purpose; ``exit_code`` is what the command line returns."""

    exit_code = 1


class InputError(GeozooError, ValueError):
    """What was asked for cannot be done as asked."""

    exit_code = 2


class RecipeError(InputError):
    """A recipe, a hyper-parameter space or a ``--set`` override is wrong."""


class DataNotFoundError(InputError, FileNotFoundError):
    """The files of an image set are not where they were looked for."""


class DataCorruptError(InputError):
    """A file that is read is damaged."""


class UnsafeFileError(InputError):
    """A file holds more than data, such as a pickle that would run code: nothing of it was loaded."""


class BandError(InputError):
    """A sensor or a band does not exist, or the data do not have it."""


class NetworkError(InputError):
    """A network does not exist or does not fit the images."""


class ZooNotFoundError(InputError, FileNotFoundError):
    """There is no zoo at this URL."""


class ZooMismatchError(InputError):
    """The zoo at this URL was made from another recipe, image set or engine."""


class StoreUnusableError(InputError):
    """This URL cannot serve as a zoo store."""


class RunError(GeozooError, RuntimeError):
    """A job started and did not end well."""


class StoreLostError(RunError, OSError):
    """The store failed in the middle of a run: disk full, endpoint gone."""


class PopulateError(RunError):
    """Some cohorts of a zoo are not committed."""


class InterruptedRunError(PopulateError):
    """The run was interrupted by its user."""

    exit_code = 130


class TrainingError(RunError):
    """A training run cannot go on, or did not end."""


class InterruptedTrainingError(TrainingError):
    """A training run was interrupted by its user."""

    exit_code = 130


class NotCommittedError(RunError, LookupError):
    """A member was asked for whose cohort is not committed."""


class DamagedZooError(RunError):
    """Stored bytes are missing or are not what was committed."""
