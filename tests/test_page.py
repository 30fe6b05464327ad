"""The page as a folder: complete, whole, with the very model and head of the package."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from codetalker.causal.bundle import load_bundle
from codetalker.errors import ModelError, OutputError
from codetalker.model_folder import find_model
from codetalker.page import write_page
from codetalker.rig import bundled_head
from glb_reader import Glb


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_page(tmp_path_factory.mktemp("page") / "site")


def test_the_model_is_the_bundled_one(site: Path) -> None:
    assert load_bundle(site / "model").digest == load_bundle(find_model()).digest


def test_the_head_has_every_shape_and_a_joint(site: Path) -> None:
    head = Glb(site / "head.glb").json
    assert head["meshes"][0]["extras"]["targetNames"] == list(bundled_head().blendshape_names)
    assert "head" in {node["name"] for node in head["nodes"]}


def test_every_file_that_the_page_names_is_there(site: Path) -> None:
    named = set()
    for file in [site / "index.html", *site.glob("assets/*.js"), *site.glob("assets/*.css")]:
        named |= set(re.findall(r"[\w.-]+-[\w-]{8}\.(?:js|css|gz|flac)", file.read_text("utf-8")))
    assert len(named) > 4
    assert named == {path.name for path in (site / "assets").iterdir()}


def test_the_page_lives_in_any_folder_of_a_server(site: Path) -> None:
    page = (site / "index.html").read_text("utf-8")
    assert not re.search(r'(src|href)="(/|[a-z]+://)', page)


def test_only_a_page_that_is_served_asks_for_films(site: Path, tmp_path: Path) -> None:
    served = write_page(tmp_path / "served", served=True)
    pages = [(folder / "index.html").read_text("utf-8") for folder in (site, served)]
    assert ["data-served" in page for page in pages] == [False, True]
    assert all('id="film"' in page and "hidden disabled>MP4" in page for page in pages)


def test_a_folder_with_content_and_an_unknown_model_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("mine")
    with pytest.raises(OutputError):
        write_page(tmp_path)
    with pytest.raises(ModelError):
        write_page(tmp_path / "new", "nothing")
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
