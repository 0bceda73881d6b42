"""Arrays become PNG and JPEG, circuits become SVG.

Other rooms use:

    images: colours, tiles and encoded pictures.
    image_files: a folder of images: its files and their pixels.
    circuit_selection: tables of connections become the circuit of a neuron.
    circuit_layout: a circuit becomes coordinates and SVG.
    circuit_svg: a circuit as a self-contained SVG file.
"""
