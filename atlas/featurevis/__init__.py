"""Feature visualization: objectives, parametrization and transforms of images, the optimizer.

Other rooms use:

    recipe: Recipe and PRESETS: how a picture is drawn.
    render: Renderer: draws neurons or directions of one layer, batch by batch.
    directions: pictures of directions in a source layer: weights position by position, factors.
    objective: the objective that a picture maximizes, and the branches of a layer.
    crops: the part of the network that one position needs, and its number of multiplications.
    memory: how many images fit into memory.
    subject: batches of images to draw, and their results.
    transforms: jitter, scale and rotation.
"""
