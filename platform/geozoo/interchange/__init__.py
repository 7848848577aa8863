"""Other formats of zoos: import, export, publishing."""
