"""Makes ``durabletask`` ours in a process that uses this package: two-argument functions stand on its classes.

An official durabletask may be installed too, and would be found first by plain Python.
"""

from perdure.sdks import prefer_ours

prefer_ours()
