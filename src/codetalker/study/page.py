"""Page: where the files are that a rater's browser loads, beside what the study says itself."""

from importlib.resources import files
from pathlib import Path

PAGE = Path(str(files("codetalker"))) / "assets/study"
"""`index.html`, `study.css` and `study.js`, served as they are."""
