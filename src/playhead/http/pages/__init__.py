"""The HTML pages: each module loads what a page shows and renders its template.

`routes.py` is the only caller; templates and scripts are next to this package.
"""
