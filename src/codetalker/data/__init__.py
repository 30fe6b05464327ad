"""Clips and their readers: corpus folders, VOCASET, BIWI."""
