"""What web developers' lip-sync libraries make of the sounds of a benchmark, as files of tracks.

    codetalker benchmark --corpus CORPUS ... -o report --sounds sounds
    npm install --prefix libraries @met4citizen/headaudio@0.1.0 wlipsync@1.3.1 wawa-lipsync@0.0.2
    python tools/web_visemes/run.py sounds libraries -o tracks --profile profile.json
    codetalker benchmark --corpus CORPUS ... -o report --tracks tracks/*.json

Headless Chromium plays each sound to each library through an offline audio context that stops 25
times a second, so that nothing depends on how busy the machine is. `--profile` is one of
wlipsync's, which brings none; without it that library is left out. Needs nothing but Python and
Chromium.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import tempfile
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlencode

PACKAGES = {
    "headaudio": "@met4citizen/headaudio",
    "wlipsync": "wlipsync",
    "wawa-lipsync": "wawa-lipsync",
}
PAGE = Path(__file__).with_name("page.html")
AT_ONCE = 40
"""Sounds of one start of Chromium, which does not let go of worklets."""


class Exchange:
    """What the page is given and what it gives."""

    def __init__(self, sounds: Path, libraries: Path, profile: Path | None) -> None:
        self.sounds, self.libraries, self.profile = sounds, libraries, profile
        self.names = sorted(path.stem for path in sounds.glob("*.wav"))
        self.tracks: dict[str, list[list[float]]] = {}
        self.shapes: list[str] = []
        self.failed = ""
        self.done = threading.Event()

    def path_of(self, url: str) -> Path | None:
        """The file behind the path of a request."""
        kind, _, rest = url.split("?")[0].lstrip("/").partition("/")
        if kind == "":
            return PAGE
        if kind == "profile":
            return self.profile
        root = {"sounds": self.sounds, "libraries": self.libraries / "node_modules"}.get(kind)
        return root and root / rest

    def take(self, message: dict) -> None:
        """A track, the end, or what went wrong."""
        if "failed" in message:
            self.failed = message["failed"]
        if "track" in message:
            self.shapes = message["shapes"]
            self.tracks[message["name"]] = message["track"]
            if len(self.tracks) % 50 == 0:
                print(f"  {len(self.tracks)} of {len(self.names)}", flush=True)
        if "track" not in message:
            self.done.set()


class Handler(SimpleHTTPRequestHandler):
    """Files to the page, tracks from it."""

    def __init__(self, exchange: Exchange, *rest: object) -> None:
        self.exchange = exchange
        super().__init__(*rest)

    def translate_path(self, path: str) -> str:
        return str(self.exchange.path_of(path) or "/nonexistent")

    def guess_type(self, path: str) -> str:
        return "text/javascript" if path.endswith(".mjs") else super().guess_type(path)

    def do_POST(self) -> None:
        content = self.rfile.read(int(self.headers["Content-Length"]))
        self.exchange.take(json.loads(content))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


def listen(library: str, exchange: Exchange, chromium: str, minutes: float) -> None:
    """Let one library hear all sounds; `exchange` has its tracks afterwards."""
    for first in range(0, len(exchange.names), AT_ONCE):
        exchange.done.clear()
        _listen(library, exchange, exchange.names[first : first + AT_ONCE], chromium, minutes)


def _listen(
    library: str, exchange: Exchange, names: list[str], chromium: str, minutes: float
) -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, exchange))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    query = urlencode({"library": library, "names": ",".join(names)})
    with tempfile.TemporaryDirectory() as home:
        browser = subprocess.Popen(
            [chromium, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={home}",
             "--disable-background-timer-throttling", "--remote-debugging-port=0",
             f"http://127.0.0.1:{server.server_port}/?{query}"],
            stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            if not exchange.done.wait(minutes * 60):
                exchange.failed = f"it was not done after {minutes:g} minutes"
        finally:
            browser.terminate()
            browser.wait()
            server.shutdown()
    if exchange.failed:
        raise SystemExit(f"{library}: {exchange.failed}")


def main() -> None:
    """Write one file of tracks per library."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sounds", type=Path)
    parser.add_argument("libraries", type=Path, help="folder with node_modules")
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--profile", type=Path)
    parser.add_argument("--chromium", default=shutil.which("chromium") or "google-chrome")
    parser.add_argument("--library", choices=PACKAGES, action="append", help="by default all")
    parser.add_argument("--minutes", type=float, default=60, help=f"for {AT_ONCE} sounds, at most")
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    for library, package in PACKAGES.items():
        if options.library and library not in options.library:
            continue
        if library == "wlipsync" and options.profile is None:
            print(f"{library}: left out, it needs a --profile")
            continue
        exchange = Exchange(options.sounds, options.libraries, options.profile)
        about = json.loads(
            (options.libraries / "node_modules" / package / "package.json").read_text()
        )
        print(f"{package} {about['version']}, {about['license']}", flush=True)
        listen(library, exchange, options.chromium, options.minutes)
        content = {
            "program": package, "version": about["version"], "licence": about["license"],
            "fps": 25, "shapes": exchange.shapes, "tracks": exchange.tracks,
            "note": f"profile {options.profile.name}" if library == "wlipsync" else "",
        }  # fmt: skip
        (options.output / f"{library}.json").write_text(json.dumps(content))


if __name__ == "__main__":
    main()
