"""The tests of geozoo; a package, so that no installed library that ships its own tests stands in front of it."""
