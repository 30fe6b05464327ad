"""The trainable model in torch: speech encoder, quantizer, codec, talker (extra: train)."""
