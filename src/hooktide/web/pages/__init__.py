"""Every page: one framework, one set of views, and four skins.

``framework`` says what a page is and is the only part that knows HTTP. ``views`` are the pages that
more than one skin shows. ``portal`` (customers, by a link), ``dashboard`` (users who log in),
``guide`` (the public docs) and ``bins`` are the skins: their own base template and pages, the kind
of session, and what it reaches.
"""
