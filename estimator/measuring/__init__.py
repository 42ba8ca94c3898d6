"""Real training steps on this machine: settings, the process that runs one of them, and the rows that come of it.

Nothing here is imported by the other commands. torch, transformers and peft (`pip install 'ftcost[measure]'`) are
imported inside the functions that the child process runs, never in the process of the command itself: each setting
gets a process of its own, so that a crash or an exhausted card is one row, no memory is left behind, and the
card is free when the command ends.
"""
