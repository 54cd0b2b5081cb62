"""Deliveries looked up, counted, and sent again."""
