"""Metrics: what the server counts, for Prometheus."""

from __future__ import annotations

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    generate_latest,
)

_HOP = (0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128, 0.256, 1.0)
_JOB = (0.1, 0.3, 1, 3, 10, 30, 100, 300)


class Metrics:
    """Counters of one server, in a registry of their own."""

    content_type = "text/plain; version=0.0.4; charset=utf-8"

    def __init__(self) -> None:
        own = self._registry = CollectorRegistry()
        ProcessCollector(registry=own)
        self.requests = Counter(
            "codetalker_requests", "Requests, by path and status", ["path", "status"], registry=own
        )
        self.waiting = Gauge(
            "codetalker_recordings", "Recordings received, waiting or animated", registry=own
        )
        self.jobs = Histogram(
            "codetalker_recording_seconds",
            "Time to animate one, waiting included",
            buckets=_JOB,
            registry=own,
        )
        self.open = Gauge("codetalker_streams_open", "Live streams", registry=own)
        self.ended = Counter(
            "codetalker_streams", "Live streams that have ended, by why", ["reason"], registry=own
        )
        self.frames = Counter("codetalker_frames", "Frames sent to live streams", registry=own)
        self.sound = Counter(
            "codetalker_sound_seconds", "Sound heard", ["kind"], registry=own
        )  # stream, recording
        self.waited = Histogram(
            "codetalker_turn_wait_seconds",
            "Wait for a core, by hop of a stream",
            buckets=_HOP,
            registry=own,
        )
        self.worked = Histogram(
            "codetalker_turn_seconds", "Computing, by hop of a stream", buckets=_HOP, registry=own
        )

    def text(self) -> bytes:
        """As Prometheus reads it."""
        return generate_latest(self._registry)
