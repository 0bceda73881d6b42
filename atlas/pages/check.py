"""A site's faults: links that lead nowhere, faulty HTML, paths of a machine, pages and sites that are too large."""
