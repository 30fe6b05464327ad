"""Characters: a user's own GLB or VRM, in the flow where the bundled head stands.

`gltf_file` reads the file as data, `accessors` its arrays, `scene` places its meshes, `names` says
what drives its shapes, `bones` which of them turn, `looks` its colours, `character` is all of that
as one value, `contact` closes its lips, `clip` puts the motion into the file.
"""
