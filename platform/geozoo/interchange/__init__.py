"""Import, export and publishing of zoos."""
