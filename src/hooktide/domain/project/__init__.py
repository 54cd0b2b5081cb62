"""A project: one sending product, all of it configuration.

``project`` has its nouns and rules and reads its file, ``project_file`` writes that file, and
``portal`` and ``colour`` say how the pages for its customers look.
"""
