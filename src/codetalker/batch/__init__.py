"""Batches: a manifest or a folder of recordings in, a folder of faces and a ledger out, on the
cores of this machine or on a cluster."""
