"""What zoos are exported to: one module for each format."""
