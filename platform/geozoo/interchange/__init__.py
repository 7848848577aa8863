"""Import and export of other people's zoo formats."""
