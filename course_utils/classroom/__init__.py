"""A class on nbgrader; `commands` is its command line. Only `agent` and `travel` run beside students' code."""
