"""The published CodeTalker: architectures, official checkpoints, exact and fast inference.

Needs torch and transformers (extra: paper). Importing this package alone imports neither.
"""
