"""Deliveries: searched, counted, and sent again."""
