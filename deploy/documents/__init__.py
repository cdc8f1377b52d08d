"""The tables in our documents that code knows better than people do.

In: settings classes, the tables of `shared.events`, the metrics, the send errors. Out: Markdown
between `<!-- generated: name -->` and `<!-- end -->` in README.md and its companions, written by
`make docs`; a test says when they are stale.
"""
