"""The benchmark: systems, protocols written down first, and one report that says who wins where."""
