"""Torch modules that both wings are built of: attention, positions, the vector quantiser."""
