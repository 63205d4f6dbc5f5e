"""A class on nbgrader: release, collect, grade. `commands` is its command line.

`agent` and `travel` run beside students' code, in the jail; nothing else here ever does.
"""
