"""Records become HTML: templates, escaping, anchors, what every page shows."""
