"""Publishing: a finished zoo as a data set that stands alone."""
