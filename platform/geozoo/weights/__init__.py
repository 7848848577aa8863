"""Weight-space tools that need no training."""
