"""Turns records into HTML: templates, escaping, links to sections, and the parts that all pages share."""
