"""Where everything is kept. ``base`` is the contract, ``sqlite`` keeps it in an embedded file."""
