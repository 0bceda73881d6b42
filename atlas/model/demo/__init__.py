"""The bundled demo network: a small InceptionV1 trained on drawings that its code makes."""
