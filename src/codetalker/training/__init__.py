"""Training of either wing: the loop, its processes, its log, and the record of what was trained."""
