"""The hot path: events, claims and attempts, written to PostgreSQL in batches.

``writer`` forms the batches and ``batch_writer`` writes them; ``queue`` claims what is due, and
``uncertain_claims`` releases claims whose commit was not confirmed.
"""
