"""Makes a store from a config and a network.

Other rooms use:

    compute: makes the artefacts that are missing or stale, stage by stage.
    work: one compute: the atlas, and what there is to make of it.
    pace: how long a compute takes besides drawing, and how large its kernels are.
    freshness: which artefacts are stale, and why; no TensorFlow.
    demo_images: the images that serve the demo atlas as dataset examples.
"""
