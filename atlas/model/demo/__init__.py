"""The bundled demo network: a small InceptionV1 trained on drawings that this package makes itself."""
