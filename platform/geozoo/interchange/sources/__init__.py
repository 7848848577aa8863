"""What zoos are imported from: one module for each format."""
