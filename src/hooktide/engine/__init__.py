"""What happens by itself: deliveries are made, retried and recorded, and upkeep is done."""
