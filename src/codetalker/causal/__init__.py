"""The bundled family, causal throughout: run time without torch; model, training, export with it.

`bundle`, `stream` and `runtime` need numpy and ONNX Runtime only; everything else needs torch
(extra: train).
"""
