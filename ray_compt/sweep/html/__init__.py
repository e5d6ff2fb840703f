"""The page about a sweep: one self-contained HTML file, made with the machinery of `report/html/`.

`page.py` says what its template shows, `figures/` draws.
"""
