"""Metrics, baselines and the `evaluate` command: how good is a predicted motion?"""
