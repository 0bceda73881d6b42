"""Checking, archiving and serving a finished site."""
