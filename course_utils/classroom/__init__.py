"""A class edition of the lessons, made for nbgrader: release, collect. `commands` is its command line."""
