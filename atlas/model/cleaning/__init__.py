"""Graphs prepared for reading: any batch and image size, one input, no training ops."""
