"""From a filmed face to a corpus: landmarks, a still head, the rig's weights, figures."""
