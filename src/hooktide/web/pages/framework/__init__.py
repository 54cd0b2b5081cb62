"""The page framework: pages, their frame, and how HTTP requests reach them (``answering``)."""
