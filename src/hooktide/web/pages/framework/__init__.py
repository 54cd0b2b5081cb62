"""The page framework: what a page is, what is around it, and how it meets HTTP (``answering``)."""
