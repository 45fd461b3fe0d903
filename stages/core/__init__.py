"""What every stage and tool shares; it imports neither of them."""
