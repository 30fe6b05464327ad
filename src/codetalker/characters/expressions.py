"""What a VRM says of its shapes: which of them its expressions move.

In the flow speech -> ... -> motion -> **mesh** -> file. VRM 1.0 binds targets of a node, 0.x those
of a mesh, in hundredths; expressions that avatars for face tracking add have Apple's names.
"""

from __future__ import annotations

from typing import Any

from codetalker.characters.gltf_file import GltfFile
from codetalker.characters.names import Shares, shares_of

_VRM0 = {"a": "aa", "i": "ih", "u": "ou", "e": "ee", "o": "oh"}


def meant_by_vrm(file: GltfFile, names: dict[int, tuple[str, ...]]) -> dict[str, Shares]:
    """What drives a shape as the expressions have it; empty for a file that is no VRM.

    Args:
        file: the file.
        names: mesh -> the names of its shapes.
    """
    meant: dict[str, Shares] = {}
    for expression, mesh, index, weight in _binds(file):
        shares = shares_of(_VRM0.get(expression, expression))
        shapes = names.get(mesh, ())
        if shares and type(index) is int and 0 <= index < len(shapes) and weight > 0:
            told = meant.setdefault(shapes[index], {})
            for source, share in shares.items():
                told[source] = max(told.get(source, 0.0), share * min(weight, 1.0))
    return meant


def _binds(file: GltfFile) -> list[tuple[str, int, Any, float]]:
    """(expression, mesh, index of its target, weight) of all that are well formed."""
    found = []
    nodes = file.gltf.nodes
    expressions = _dict(_dict(file.gltf.extensions.get("VRMC_vrm")).get("expressions"))
    for kind in ("preset", "custom"):
        for name, expression in _dict(expressions.get(kind)).items():
            for bind in _list(_dict(expression).get("morphTargetBinds")):
                node, index, weight = (_dict(bind).get(k) for k in ("node", "index", "weight"))
                if type(node) is int and 0 <= node < len(nodes) and nodes[node].mesh is not None:
                    found.append((name, nodes[node].mesh, index, _number(weight)))
    master = _dict(_dict(file.gltf.extensions.get("VRM")).get("blendShapeMaster"))
    for group in _list(master.get("blendShapeGroups")):
        preset, name = (str(_dict(group).get(k, "")) for k in ("presetName", "name"))
        for bind in _list(_dict(group).get("binds")):
            mesh, index, weight = (_dict(bind).get(k) for k in ("mesh", "index", "weight"))
            if type(mesh) is int:
                called = name if preset in ("", "unknown") else preset
                found.append((called, mesh, index, _number(weight) / 100))
    return found


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _number(value: Any) -> float:
    return float(value) if isinstance(value, int | float) else 0.0
