"""The plots of a sweep: one file each, a function from scores or stages to a plotly figure."""
