"""The plots of a report: each file turns facts into one plotly figure, or None where there is nothing to draw.

A further plot: a file with such a function, and a line in `page.py`. Colours and sizes that all share are in
`style.py`; what depends on the reader's light or dark screen is set in the page (`templates/report.js`).
"""
