"""A finished site: checked, packed, served."""
