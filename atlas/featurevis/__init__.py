"""Feature visualization: what to draw, how an image is parametrized and transformed, the optimizer.

Other rooms use:

    recipe: Recipe and PRESETS: how a picture is drawn.
    render: Renderer: draws neurons or directions of one layer, batch by batch.
    directions: pictures of directions in a source layer: weights position by position, factors.
    objective: what a picture raises, and the branches that it is taken from.
    crops: the part of the network that one position needs, and its products.
    memory: how many images fit into memory.
    subject: what is drawn together, and what came of it.
    transforms: jitter, scale and rotation.
"""
