"""Configurations: the presets, their tiny twins, JSON and back, users' mistakes."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from codetalker.errors import OptionError
from codetalker.paper.config import PRESETS, SpeechConfig, from_dict, preset, tiny, to_dict


@pytest.mark.parametrize("name", PRESETS)
@pytest.mark.parametrize("twin", [False, True])
def test_configurations_survive_json(name, twin):
    config = tiny(preset(name)) if twin else preset(name)
    assert from_dict(json.loads(json.dumps(to_dict(config)))) == config


@pytest.mark.parametrize("name", PRESETS)
def test_tiny_twins_differ_in_size_only(name):
    config, twin = preset(name), tiny(preset(name))
    assert twin.codec.code_projection == config.codec.code_projection
    assert twin.codec.output_bias == config.codec.output_bias
    assert twin.talker.subjects == config.talker.subjects
    assert twin.talker.features_per_frame == config.talker.features_per_frame


def test_speech_features_are_counted_as_the_convolutions_do():
    speech = SpeechConfig()
    assert (speech.hop, speech.reach) == (320, 400)
    for samples in range(0, 5000, 77):
        assert speech.features(samples) == max(0, (samples - 400) // 320 + 1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c.update(codek=1), "did you mean 'codec'"),
        (lambda c: c["codec"].update(layer=1), "did you mean 'layers'"),
        (lambda c: c["codec"].pop("vertices"), "vertices"),
        (lambda c: c["codec"].update(vertices="many"), "config.codec.vertices must be"),
        (lambda c: c["codec"].update(output_bias=1), "config.codec.output_bias must be"),
        (lambda c: c["talker"].update(subjects="F2"), "config.talker.subjects must be a list"),
        (lambda c: c["talker"].update(default_subject="F9"), "'F9' is no subject"),
        (lambda c: c["talker"].update(heads=3), "3 heads do not divide"),
        (lambda c: c.update(codec=[]), "must be an object"),
    ],
)
def test_a_wrong_value_is_named(change, message):
    values = json.loads(json.dumps(to_dict(preset("biwi"))))
    change(values)
    with pytest.raises(OptionError, match=message):
        from_dict(values)


def test_impossible_combinations_are_refused():
    codec, talker = preset("vocaset").codec, preset("biwi").talker
    with pytest.raises(OptionError, match="code_projection"):
        replace(codec, components=8)
    with pytest.raises(OptionError, match="does not divide"):
        replace(talker, fps=30.0)
    with pytest.raises(OptionError, match="power of two"):
        replace(talker, width=768, heads=6)
    with pytest.raises(OptionError, match="halvings"):
        replace(preset("vocaset"), codec=replace(codec, halvings=1))


def test_an_unknown_preset_names_the_nearest():
    with pytest.raises(OptionError, match="did you mean 'biwi'"):
        preset("bivi")
